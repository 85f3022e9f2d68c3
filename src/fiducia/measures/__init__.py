"""Numbers, crops and masks from the named points of one face: arrays and a landmark set in, arrays out."""
