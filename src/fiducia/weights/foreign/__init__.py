"""Checkpoints of other projects, one kind a file: their state-dict names → ours."""
