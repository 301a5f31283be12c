"""Ways of learning beside one another, section by section: ``make bench-learning``."""
