"""Figures that the README and docs/benchmarks.md quote; `make bench` measures them all again."""
