"""Faces that are drawn, with labels that are exact."""
