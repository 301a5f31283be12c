"""What reviews of a change of flights take, for docs/measured/review.md."""
