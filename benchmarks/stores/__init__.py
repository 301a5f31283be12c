"""What it costs that data lie elsewhere: ``make bench-stores``."""
