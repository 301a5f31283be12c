"""The home as storage: backups, retention, publication to a store, PostgreSQL for its metadata."""
