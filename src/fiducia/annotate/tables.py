"""Parquet files with a column of image bytes: their rows as photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import FiduciaError, UsageError
from .units import FAULT, ROW, Unit

__all__ = ["SUFFIXES", "TableFile", "is_table", "rows"]

SUFFIXES = frozenset({".parquet", ".pq"})
_BATCH = 16
"""Rows that are read together."""


def is_table(source: str) -> bool:
    """Whether a file is a Parquet table, by its name."""
    return Path(source).suffix.lower() in SUFFIXES


def rows(shown: str, path: str, column: str) -> list[Unit]:
    """Return a photograph for each row of a Parquet file, or a fault where it cannot be read.

    Args:
        shown: the file as results name it.
        path: where it is.
        column: holds the bytes of an image file in each row; or a struct with them as ``bytes``, as Hugging Face writes it.

    Raises:
        UsageError: there is no such column, or it holds something else; the line lists the columns.
    """
    import pyarrow as pa

    try:
        with _opened(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
            size = Path(path).stat().st_size
    except (pa.ArrowException, OSError) as error:
        return [Unit(shown, FAULT, path, error=f"{shown}: cannot be read as Parquet ({_plain(error)})")]
    if column not in schema.names:
        raise UsageError(f"{shown}: no column {column!r}; it has {_columns(schema)}; name one with --column")
    kind = schema.field(column).type
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or pa.types.is_fixed_size_binary(inner)):
        raise UsageError(
            f"{shown}: the column {column!r} holds {kind}, expected the bytes of image files (binary); "
            f"it has {_columns(schema)}; name one with --column"
        )
    if count == 0:
        return [Unit(shown, FAULT, path, error=f"{shown}: a table without rows")]
    return [Unit(f"{shown}:{row}", ROW, path, row, size) for row in range(count)]


class TableFile:
    """A Parquet file that is read row by row. Reading forwards is quick; backwards begins at a row group.

    Args:
        path: of the file.
        column: holds the image bytes.
    """

    def __init__(self, path: str, column: str) -> None:
        self.path, self.column = path, column
        self._file: Any = None
        self._batches: Any = iter(())
        self._values: Any = ()
        self._first = 0
        self._after: list[int] = []

    def read(self, unit: Unit) -> bytes:
        """Return the bytes of a photograph.

        Raises:
            FiduciaError: the file cannot be read, or the row holds nothing.
        """
        import pyarrow as pa

        try:
            value = self._value(unit.start)
        except (pa.ArrowException, OSError, StopIteration, IndexError) as error:
            self.close()
            raise FiduciaError(f"{unit.id}: its Parquet file cannot be read ({_plain(error)})") from None
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise FiduciaError(
                f"{unit.id}: the column {self.column!r} is empty in this row; expected an image file's bytes"
            )
        return bytes(data)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._batches, self._values, self._first = None, iter(()), (), 0

    def _value(self, row: int) -> Any:
        if self._file is None:
            self._file = _opened(self.path)
            meta = self._file.metadata
            self._after = [0]
            for group in range(meta.num_row_groups):
                self._after.append(self._after[-1] + meta.row_group(group).num_rows)
        ahead = self._first + len(self._values)
        if not self._first <= row < ahead:
            group = next(n for n, end in enumerate(self._after[1:]) if row < end)
            if not (len(self._values) and ahead <= row and self._after[group] <= ahead):
                # Not in what is being read: begin at the row group.
                groups = list(range(group, len(self._after) - 1))
                self._batches = self._file.iter_batches(_BATCH, row_groups=groups, columns=[self.column])
                self._first, self._values = self._after[group], ()
            while row >= self._first + len(self._values):
                self._first += len(self._values)
                self._values = next(self._batches).column(0)
        return self._values[row - self._first].as_py()


def _opened(path: str) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def _columns(schema: Any) -> str:
    return ", ".join(f"{field.name} ({field.type})" for field in list(schema)[:12]) + (
        " ..." if len(schema) > 12 else ""
    )


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
