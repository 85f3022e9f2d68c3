"""Points drawn on photographs: arrays in, arrays out."""
