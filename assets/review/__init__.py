"""Review: what a change of the declaration or the code does to features, to models, and to a history that is played again."""
