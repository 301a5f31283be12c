"""Ingestion: raw files of any usual format become typed Parquet; rows that break a rule go to quarantine."""
