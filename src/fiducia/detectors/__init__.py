"""Where are the faces? One detector a file, found by name in :mod:`fiducia.detectors.registry`."""
