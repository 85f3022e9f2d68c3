"""Photographs in, crops out."""
