"""Maturity: what a home and a repository show of how well a product is run, by three published models; nothing is asserted."""
