"""Trained networks as graphs that need no torch, each with a certificate."""
