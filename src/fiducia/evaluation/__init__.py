"""Points → figures with their protocol → reports."""
