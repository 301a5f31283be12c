"""Object store: a home is published to a folder or a bucket, which other machines and an empty one take it from."""
