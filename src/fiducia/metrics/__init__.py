"""Figures: errors and their shares, the protocol they were measured by, and whether two of them differ."""
