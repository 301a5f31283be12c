"""Certification: a signed bundle that proves what serves and why, and its verifier, which needs Python and nothing else."""
