"""From options to a running review."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UsageError
from ..evaluation.found import Found
from ..schemes.sets import SchemeError, conversion, get_scheme
from ..serve.access import Access, bind, find_token
from ..serve.limits import Limits
from ..serve.observe import set_up_logs
from ..serve.server import serve
from ..structures import Record
from .app import make_review_app
from .order import Tell, predict
from .session import open_review

__all__ = ["NO_WEIGHTS", "run_review"]

NO_WEIGHTS = "none"
"""In place of weights: go by the shapes of the faces alone."""
_DEFAULT = "fifa_tiny"
_HOST = "127.0.0.1"


def run_review(
    source: str,
    *,
    weights: Sequence[str] = (),
    split: str | None = None,
    scheme: str | None = None,
    port: int = 0,
    token_file: Path | None = None,
    who: str | None = None,
    device: str = "auto",
    on_progress: Tell | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the page of a review until Ctrl-C or SIGTERM.

    Args:
        source: ``NAME:ROOT``; its labels are changed where they lie.
        weights: names or files; none = the default ones where they know the landmark set, else the shapes alone.
        split: or part of the data set.
        scheme: of own data, a name or TOML file.
        port: to listen on, on this machine alone; 0 takes a free one.
        token_file: holds the token; None = ``FIDUCIA_TOKEN``, else a new one.
        who: is noted in the journal; None = the user's name.
        device: where the networks are computed.
        on_progress: called with faces done and faces in all.
        tell: takes lines for the user.

    Raises:
        UsageError: labels that cannot be changed in place, weights of another landmark set, or a port that is taken.
        FiduciaError: see :func:`fiducia.review.session.open_review`.
    """
    token = find_token(token_file) or secrets.token_urlsafe(24)
    listener = bind(_HOST, port, token)
    judged: list[str] = []

    def ask(records: Sequence[Record]) -> tuple[Found | None, dict[int, str]]:
        chosen = list(weights) or ([_DEFAULT] if _converts(records[0].scheme) else [NO_WEIGHTS])
        if chosen == [NO_WEIGHTS]:
            judged.append("the shapes of the faces")
            if not weights:
                tell(f"{source}: {_DEFAULT} does not know {records[0].scheme}; faces are ordered by their shapes alone")
            return None, {}
        if NO_WEIGHTS in chosen:
            raise UsageError(f"--weights {NO_WEIGHTS} goes alone; leave it out, or the other weights")
        judged.append(" and ".join(Path(name).name for name in chosen))
        return predict(records, chosen, device, on_progress)

    with listener:
        review = open_review(source, ask, split=split, scheme=scheme, who=who or _user())
        try:
            review.judged = judged[0]
            for line in review.remarks:
                tell(line)
            set_up_logs("warning")
            app = make_review_app(review, Access(token))
            address = f"http://{_HOST}:{listener.getsockname()[1]}/#{token}"
            serve(app, listener, Limits(), lambda: tell(f"{len(review.faces):,} faces; open {address}"))
            counts = review.counts()
            told = ", ".join(f"{number} {name}" for name, number in counts.items())
            tell(f"{told}; journal: {review.journal.path}")
        finally:
            review.close()


def _converts(scheme: str) -> bool:
    """Tell whether the default weights, which have 68 points, know a landmark set."""
    wanted = get_scheme(scheme)
    try:
        return wanted.name == "ibug68" or bool(conversion("ibug68", wanted))
    except SchemeError:
        return False


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
