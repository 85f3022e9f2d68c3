"""One file a format of photographs: what its header says, and how its pixels are decoded."""
