"""What the columns of a row stand for: a number, a vector, or named arrays of any shape."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ._typing import FloatArray
from .errors import DataError


@dataclass(frozen=True)
class Piece:
    """One array of a row.

    Attributes
    ----------
    name : str or None
        None: the row is this array.
    shape : tuple of int
    whole : bool
        Whether it holds whole numbers.
    levels : tuple of str or None
        Where they stand for text, what each stands for; rows that differ in that alone have one layout.
    """

    name: str | None
    shape: tuple[int, ...]
    whole: bool = False
    levels: tuple[str, ...] | None = field(default=None, compare=False)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def columns(self) -> list[str]:
        """A name for each of its columns."""
        stem = "x" if self.name is None else self.name
        if not self.shape:
            return [stem]
        separator = "" if self.name is None and len(self.shape) == 1 else "_"
        return [stem + separator + "_".join(map(str, index)) for index in np.ndindex(*self.shape)]


@dataclass(frozen=True)
class Layout:
    """The pieces of a row in the order of its columns, and the record they make up.

    Attributes
    ----------
    pieces : tuple of Piece
    record : class or None
        The named tuple that a row is; None: a dict, or the one piece itself where it has no name.
    """

    pieces: tuple[Piece, ...]
    record: type | None = None

    @classmethod
    def vector(cls, n_columns: int) -> Self:
        """A row that is a vector of real numbers."""
        return cls((Piece(None, (n_columns,)),))

    @classmethod
    def table(cls, names: Sequence[str], whole: Collection[str], levels: Mapping[str, tuple[str, ...]]) -> Self:
        """A row that is a dict of numbers, one for each column of a table; some are whole, some stand for text."""
        return cls(tuple(Piece(name, (), name in whole, levels.get(name)) for name in names))

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """What the numbers of coded columns stand for."""
        return {str(piece.name): piece.levels for piece in self.pieces if piece.levels is not None}

    @property
    def n_columns(self) -> int:
        return sum(piece.size for piece in self.pieces)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(name for piece in self.pieces for name in piece.columns)

    def unpack(self, values: Any) -> Any:
        """The record, its arrays (..., shape), from columns (..., D) of NumPy or JAX; whole numbers are integers."""
        parts: dict[Any, Any] = {}
        start = 0
        for piece in self.pieces:
            part = values[..., start : start + piece.size].reshape(*values.shape[:-1], *piece.shape)
            parts[piece.name] = part.astype(int) if piece.whole else part
            start += piece.size
        if None in parts:
            return parts[None]
        return parts if self.record is None else self.record(**parts)


def pack(data: Any) -> tuple[FloatArray, Layout]:
    """Arrays that share their first axis, alone or in a mapping or named tuple, as columns (n, D) and their layout.

    Raises
    ------
    DataError
        Something in it is no array of numbers, or the lengths differ; it is named.
    """
    record = type(data) if is_named_tuple(data) else None
    arrays = data._asdict() if record is not None else dict(data) if isinstance(data, Mapping) else {None: data}
    if not arrays:
        raise DataError("expected at least one array, got an empty mapping")
    columns = {name: _numbers(name, array) for name, array in arrays.items()}
    lengths = {name: len(array) for name, array in columns.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the arrays of x must have one entry for each observation, but their lengths are {lengths}")
    if not min(lengths.values()):
        raise DataError("expected at least one observation, got none")
    pieces = tuple(Piece(name, array.shape[1:], array.dtype.kind in "iub") for name, array in columns.items())
    n = next(iter(lengths.values()))
    flat = [array.reshape(n, -1) for array in columns.values()]
    values = flat[0] if len(flat) == 1 else np.concatenate([part.astype(float) for part in flat], axis=1)
    return values, Layout(pieces, record)


def is_named_tuple(data: Any) -> bool:
    """Whether the data are a named tuple of arrays."""
    return isinstance(data, tuple) and hasattr(data, "_fields")


def _numbers(name: Any, array: Any) -> Any:
    place = "x" if name is None else f"x[{name!r}]"
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise DataError(f"the arrays of x must be named by identifiers, got {name!r}")
    try:
        numbers = np.asarray(array)
    except ValueError as error:
        raise DataError(f"{place} must be an array, but its rows are of unequal lengths") from error
    if numbers.dtype.kind not in "fiub":
        raise DataError(f"{place} must be numbers, got an array of {numbers.dtype}; encode text columns first")
    if numbers.ndim == 0:
        raise DataError(f"{place} must have one entry for each observation, got the single number {numbers}")
    return numbers
