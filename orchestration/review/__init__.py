"""Review: a change of the repository by its consequences. Revisions, their processes and homes, and the comment."""
