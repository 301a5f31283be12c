"""Verification: the files of a home against its manifest, its records against one another and against the ledger."""
