"""Rendering: self-contained HTML pages and SVG plots."""
