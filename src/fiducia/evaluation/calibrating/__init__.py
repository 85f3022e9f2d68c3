"""Fits and checks what a network's confidence is worth, on faces that it was not trained on."""
