"""Photograph in, faces out: detectors, runtimes, the predictor, and its results on disk."""
