"""What is learned, on disk: weight files with a model card, and checkpoints of other projects."""
