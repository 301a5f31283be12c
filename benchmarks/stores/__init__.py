"""Figures of where data lives: stores, lake tables, and features as a store."""
