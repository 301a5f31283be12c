"""The textbook: its pages, the commands in them, and how far a reader is."""
