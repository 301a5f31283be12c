"""The verifier of certificates: standard library alone, so that `standalone` can write all of it as one file."""
