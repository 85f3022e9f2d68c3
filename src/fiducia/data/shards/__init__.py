"""Shards: faces and their photographs in tar files that are read from beginning to end."""
