"""What experiments cost: the log that they stand on."""
