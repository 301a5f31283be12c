"""Features: the feature relation is held against its contract and published as an immutable snapshot."""
