"""Declarations: new ones, checked ones, what they would run, and their reference."""
