"""The file formats of tables, by their suffix."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".parquet")


def known_suffix(path: Path) -> str:
    """The lower-case suffix, or a `DataError` that lists the known ones."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: expected a file named {', '.join('*' + known for known in SUFFIXES)}")
    return suffix
