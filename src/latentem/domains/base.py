"""What all domains are: a free count, coordinates of an array, and the array that belongs to any coordinates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..errors import ParameterError

TINY = float(np.finfo(float).tiny)
# Zero itself has the logarithm of this, and logarithms below LOG_OF_ZERO come back as exactly zero.
ZERO = 1e-300
LOG_OF_ZERO = float(np.log(ZERO)) + 20.0
LARGEST_STEP_LOG = 700.0


class Domain(ABC):
    """A set of arrays with a smooth map onto it from unconstrained vectors.

    Attributes
    ----------
    shape : tuple of int
        Shape of the arrays.  With () the domain leaves it to the array, whose shape the methods are given.
    axes : int
        How many trailing axes make up one value: 0 for numbers, 1 for vectors, 2 for matrices.  Along the others,
        values stand side by side.
    """

    shape: tuple[int, ...]
    axes: int = 0

    @abstractmethod
    def n_free(self, shape: tuple[int, ...]) -> int:
        """Free coordinates of an array of this shape."""

    @abstractmethod
    def flatten(self, value: FloatArray) -> FloatArray:
        """Unconstrained coordinates of an array in the domain, one vector."""

    @abstractmethod
    def unflatten(self, vector: FloatArray, shape: tuple[int, ...], xp: Any = np) -> FloatArray:
        """The array of this shape with these coordinates; `xp` is `numpy`, or `jax.numpy` for what JAX traces."""

    def contains(self, value: FloatArray) -> bool:
        """Whether the array lies in the domain, its shape included."""
        value = np.asarray(value, float)
        return self._fits(value.shape) and self._holds(value)

    def coordinate_names(self, name: str, shape: tuple[int, ...]) -> list[str]:
        """What each coordinate of an array called `name` is, for messages: "log scales[0]"."""
        return self._names(entry_labels(name, shape))

    def fixed(self, values: Any) -> Domain:
        """The domain with some entries held.

        Parameters
        ----------
        values : numbers that broadcast to the domain's shape
            Entries at which the array is held; NaN where it is free.  Only numbers, and `LowerTriangular`, may be held
            in part; of other domains the whole array is.

        Raises
        ------
        ParameterError
            The values have another shape, lie outside the domain, or hold in part what can only be held whole.
        """
        from .constraints import Fixed  # a domain itself

        return Fixed(self, values)

    def tied(self, axis: int | tuple[int, ...] | None = None) -> Domain:
        """The domain of arrays whose entries are equal along an axis.

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which they are equal; all entries are unless it is given.  The axes that make up one vector or matrix
            cannot be tied.

        Raises
        ------
        ParameterError
            There is no such axis, or it is one of those.
        """
        from .constraints import Tied

        return Tied(self, as_axes(axis))

    def _fits(self, shape: tuple[int, ...]) -> bool:
        square = len(set(shape[len(shape) - self.axes :])) <= 1
        return len(shape) >= self.axes and square and self.shape in ((), shape)

    @abstractmethod
    def _holds(self, value: FloatArray) -> bool:
        """Whether an array whose shape fits lies in the domain."""

    @abstractmethod
    def _names(self, labels: Array) -> list[str]:
        """Names of the coordinates, given those of the entries."""

    def _free_coordinates(self, free: Array) -> Array:
        """Which coordinates move if only these entries may."""
        if np.any(free) and not np.all(free):
            raise ParameterError(
                f"{self} can only be fixed as a whole, since its entries depend on each other: give a number for each, "
                "or NaN for each"
            )
        return np.full(self.n_free(free.shape), bool(np.all(free)))


@dataclass(frozen=True, init=False, repr=False)
class Shaped(Domain):
    """A domain that is called with its shape: `Simplex(3, 4)`."""

    shape: tuple[int, ...]

    def __init__(self, *sizes: int, shape: Sequence[int] = ()) -> None:
        object.__setattr__(self, "shape", _checked_shape(type(self), (*sizes, *shape)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self._sizes()))})"

    def _sizes(self) -> tuple[int, ...]:
        """The shape as one writes it."""
        return self.shape[:1] if self.axes == len(self.shape) == 2 else self.shape


def _checked_shape(kind: type[Domain], sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape that a domain was called with, or an error; d stands for d × d where values are matrices."""
    whole = [isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 1 for n in sizes]
    if not all(whole):
        example = ", ".join(["2", "3", "3"][: kind.axes + 1])
        raise ParameterError(
            f"the shape of {kind.__name__} is given by whole numbers of at least 1, as in {kind.__name__}({example}); "
            f"got {', '.join(map(repr, sizes))}"
        )
    shape = tuple(map(int, sizes))
    if kind.axes == 2 and len(shape) == 1:
        shape *= 2
    if kind.axes == 2 and shape and shape[-2] != shape[-1]:
        raise ParameterError(f"{kind.__name__} is square along its last two axes, got the shape {shape}")
    return shape


def as_axes(axis: int | tuple[int, ...] | None) -> tuple[int, ...] | None:
    """The axes to tie as a tuple, None for all, or an error."""
    axes = axis if isinstance(axis, tuple | None) else (axis,)
    if axes is not None and not (axes and all(isinstance(one, int | np.integer) for one in axes)):
        raise ParameterError(f"the axis to tie must be a whole number or a tuple of such, got {axis!r}")
    return None if axes is None else tuple(map(int, axes))


def entry_labels(name: str, shape: tuple[int, ...], tied: tuple[int, ...] = ()) -> Array:
    """Names of an array's entries, "means[0,1]", with ":" along axes that are tied."""
    labels = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        inside = ",".join(":" if axis in tied else str(i) for axis, i in enumerate(index))
        labels[index] = f"{name}[{inside}]" if index else name
    return labels


def count(shape: tuple[int, ...]) -> int:
    """Entries of an array of this shape."""
    return int(np.prod(shape, dtype=int))


def pick(entries: FloatArray, place: Array, xp: Any) -> FloatArray:
    """Entries by their places on the last axis; the place after the last holds a zero."""
    padded = xp.concatenate([entries, xp.zeros((*entries.shape[:-1], 1))], axis=-1)
    picked: FloatArray = xp.take(padded, place, axis=-1)
    return picked
