"""The command line, one file a command; each is a thin face over a function of the package."""
