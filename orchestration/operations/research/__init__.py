"""Research: notebooks of a product, variants that are adopted, phases of its life."""
