"""Files → records → samples."""
