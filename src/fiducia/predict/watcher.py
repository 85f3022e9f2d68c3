"""Who hears of each photograph while many are done. This module imports nothing."""

from __future__ import annotations

__all__ = ["Watcher"]


class Watcher:
    """Hears what happens in :func:`detect_paths`; this one does nothing with it."""

    def planned(self, total: int, skipped: int) -> None:
        """So many photographs are to be done, without those that are skipped because an earlier run did them."""

    def remark(self, source: str, line: str) -> None:
        """A photograph was read, and this should be known of it."""

    def done(self, source: str, faces: int, first: str) -> None:
        """A photograph's results are written; ``first`` is the first file, or empty."""

    def failed(self, source: str, line: str) -> None:
        """An input has no results; the line says why."""
