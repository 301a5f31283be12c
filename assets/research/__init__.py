"""Research: variants of a product's declaration, tried in notebooks by the functions of production."""
