"""Online learning: each row is learned once, when its label arrives."""
