"""Catalog and lineage: what datasets there are, where they come from, in the formats that others read."""
