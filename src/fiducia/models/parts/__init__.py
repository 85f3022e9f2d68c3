"""The parts that networks share: blocks, hourglasses, spectral filters, transformers. One idea a file."""
