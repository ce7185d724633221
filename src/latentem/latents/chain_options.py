"""Options of a chain of normal vectors: which entries are held, free or equal, and matrices known for each row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..errors import DataError, ParameterError
from ..patterns import STRUCTURES, Pattern
from .chain_start import STARTS


@dataclass(frozen=True, eq=False)
class KnownSeries:
    """A matrix for each row of the data, known: (rows, q, q)."""

    name: str
    matrices: FloatArray

    @classmethod
    def of(cls, name: str, given: Any, q: int) -> KnownSeries:
        """From an array (rows, q, q) of numbers."""
        try:
            array = np.array(given, float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"{name} with one matrix for each row must hold numbers only") from error
        if array.shape[1:] != (q, q) or not np.all(np.isfinite(array)):
            raise ParameterError(f"{name} must be finite, of shape (rows, {q}, {q}), got {array.shape}")
        if name == "noise":
            _check_covariances(array)
        return cls(name, array)

    def of_rows(self, rows: Array) -> FloatArray:
        """The matrices of these rows of the data."""
        if int(rows.max()) >= len(self.matrices):
            raise DataError(f"{self.name} has {len(self.matrices)} matrices, but the data have a row {int(rows.max())}")
        return np.asarray(self.matrices[rows])


def input_option(inputs: Any, q: int) -> Pattern:
    """The weights of the inputs as a pattern (q, m)."""
    if isinstance(inputs, int | np.integer):
        return Pattern.of("inputs", None, (q, int(inputs)))
    given = inputs.array if isinstance(inputs, Pattern) else np.array(inputs, object)
    if given.ndim != 2 or len(given) != q:
        raise ParameterError(f"inputs must be their number, or entries of shape ({q}, m), got shape {given.shape}")
    return Pattern.of("inputs", inputs, given.shape)


def noise_option(noise: Any, q: int) -> Any:
    """The structure by its name, the entries as a pattern, or one matrix for each row."""
    if isinstance(noise, str):
        if noise not in STRUCTURES:
            raise ParameterError(f"noise must be one of {', '.join(STRUCTURES)} or entries, got {noise!r}")
        return noise
    if isinstance(noise, KnownSeries | Pattern):
        return noise
    shape = (q, q) if np.ndim(np.array(noise, object)) == 2 else (q,)
    pattern = Pattern.of("noise", noise, shape)
    if len(shape) == 2:
        _check_matrix(pattern)
    elif np.any(pattern.values < 0):
        raise ParameterError(f"noise holds a negative variance: {pattern.values.tolist()}")
    return pattern


def _check_matrix(pattern: Pattern) -> None:
    """All numbers, a covariance matrix; or a free block, and zeros elsewhere."""
    values = pattern.values
    free = np.isnan(np.diagonal(values))
    block = np.outer(free, free)
    if any(isinstance(entry, str) for entry in pattern.array.flat) or not np.array_equal(np.isnan(values), block):
        raise ParameterError("a noise matrix is given by numbers, or None in all rows and columns of some coordinates")
    if free.any() and np.any(values[~block] != 0):
        raise ParameterError("beside a free block, a noise matrix must be 0; give variances (q,) to hold some of them")
    held = np.where(block, np.eye(len(values)), values)
    if not np.allclose(held, held.T) or np.linalg.eigvalsh(held)[0] < -1e-10 * np.abs(held).max():
        raise ParameterError("noise must be a covariance matrix: symmetric, without negative eigenvalues")


def _check_covariances(matrices: FloatArray) -> None:
    """One covariance matrix for each row."""
    size = np.abs(matrices).max(axis=(1, 2), initial=0.0)
    uneven = np.abs(matrices - np.swapaxes(matrices, 1, 2)).max(axis=(1, 2), initial=0.0)
    wrong = np.flatnonzero((uneven > 1e-8 * size) | (np.linalg.eigvalsh(matrices)[:, 0] < -1e-10 * size))
    if len(wrong):
        raise ParameterError(
            "noise must be a covariance matrix in each row: symmetric, without negative eigenvalues; row "
            f"{wrong[0]} has {matrices[wrong[0]].tolist()}"
        )


def initial_option(initial: Any, q: int) -> tuple[str, ...]:
    """The kind of start of each coordinate."""
    if isinstance(initial, str):
        initial = (initial,) * q
    kinds = tuple(initial)
    mixed = len(set(kinds)) > 1
    if len(kinds) != q or not set(kinds) <= set(STARTS[2:] if mixed else STARTS):
        raise ParameterError(
            f"initial must be one of {', '.join(STARTS)}, or {q} of {', '.join(STARTS[2:])}; got {initial!r}"
        )
    return kinds
