"""The ledger's files: Markdown to read, CSV to compute with, LaTeX to publish."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..files import write_atomic
from .ledger import TableLedger, table_ledger
from .ledger_text import csv_rows, latex, markdown
from .rows import TABLES

__all__ = ["write_ledger"]


def write_ledger(out: Path, *tables: str) -> list[TableLedger]:
    """Write ``ledger.md``, ``ledger.csv`` and ``ledger.tex`` of all tables that have a folder below ``out``, and of those named.

    Raises:
        FiduciaError: runs that may not stand in one table; the field that differs is told.
    """
    for name in tables:
        (out / name).mkdir(parents=True, exist_ok=True)  # so that a table without runs stays in the ledger
    ledgers = [table_ledger(out, name) for name in TABLES if (out / name).is_dir()]
    write_atomic(out / "ledger.md", markdown(ledgers).encode())
    text = io.StringIO()
    rows = [row for ledger in ledgers for row in csv_rows(ledger)]
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_atomic(out / "ledger.csv", text.getvalue().encode())
    tables_text = [latex(ledger) for ledger in ledgers if ledger.lines]
    write_atomic(out / "ledger.tex", "\n".join(tables_text).encode())
    return ledgers
