"""Storage: the home folder, digests, atomic publishing, locks, SQL literals and code versions."""
