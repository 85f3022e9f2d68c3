"""The directory of one packing: new, empty, or left unfinished by a packing that was killed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from ...errors import UsageError
from ...files import write_atomic
from ...locks import held
from .layout import INDEX

__all__ = ["packing", "require_empty"]

_MARK = ".packing"
"""Stands in the directory until the packing is complete, and names what it wrote there besides shards."""
_LOCK = ".lock"
_OURS = re.compile(r"faces-\d{5,}\.(tar|npz)|\.fiducia-\d+-[0-9a-f]+\.tmp")


def require_empty(out: Path) -> None:
    """Refuse a directory that holds anything but a packing that did not finish; nothing is made or changed.

    Raises:
        UsageError: it does, or is no directory.
    """
    _leftovers(out)


@contextlib.contextmanager
def packing(out: Path, scheme: str) -> Iterator[None]:
    """Have a directory for one packing, in a ``with`` block; what an unfinished one left is taken away first.

    Args:
        out: the directory; it is made where it is missing. After a failed block it stays as it is, marked as unfinished.
        scheme: the name of a scheme file that will be written there; empty = none.

    Raises:
        UsageError: the directory holds something else.
        FiduciaError: another process packs into it, or nothing can be written there.
    """
    require_empty(out)
    with held(out, "fiducia data pack"):
        # Once more: another packing may have ended meanwhile.
        for path in _leftovers(out):
            path.unlink()
        write_atomic(out / _MARK, f"fiducia data pack\n{scheme}\n".encode())
        yield
        (out / _MARK).unlink()


def _leftovers(out: Path) -> list[Path]:
    """Return the files of an unfinished packing."""
    try:
        names = {path.name for path in out.iterdir()} - {_LOCK}
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"{out}: is not an empty directory ({error.strerror}); give another --out") from None
    if INDEX in names:
        raise UsageError(f"{out}: holds shards already; delete it, or give another --out")
    if names and not (out / _MARK).is_file():
        raise UsageError(f"{out}: is not an empty directory; delete it, or give another --out")
    own = set((out / _MARK).read_text(errors="replace").splitlines()[1:]) | {_MARK} if names else set()
    strange = sorted(name for name in names if not (name in own or _OURS.fullmatch(name)) or not (out / name).is_file())
    if strange:
        raise UsageError(
            f"{out}: holds {strange[0]} beside a packing that did not finish; take it out, or give another --out"
        )
    return [out / name for name in sorted(names)]
