"""``python -m fiducia`` is ``fiducia``."""

from .cli import main

main()
