"""Labels changed in their files: only the bytes of the points that were changed, and no others."""
