"""Parameters: frozen records of arrays whose fields say in which domain they live.

Optimizers, standard errors and accelerations work on the unconstrained vector.  The way there and
back, and the number of free parameters, follow from the domains; nobody types a count by hand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from ._typing import Array, FloatArray
from .errors import ParameterError

_TINY = float(np.finfo(float).tiny)
_ZERO = 1e-300
_LOG_OF_ZERO = float(np.log(_ZERO)) + 20.0
_LARGEST_LOG = 709.78
_LARGEST_FACTOR_LOG = 350.0


class Domain(ABC):
    """A set of values with a smooth bijection onto unconstrained vectors."""

    @abstractmethod
    def n_free(self, shape: tuple[int, ...]) -> int:
        """Free coordinates of a value of this shape."""

    @abstractmethod
    def flatten(self, value: FloatArray) -> FloatArray:
        """Unconstrained coordinates, one vector."""

    @abstractmethod
    def unflatten(self, vector: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        """The value of this shape with these coordinates."""

    @abstractmethod
    def contains(self, value: FloatArray) -> bool:
        """Whether the value lies in the domain."""


class _Elementwise(Domain):
    def n_free(self, shape: tuple[int, ...]) -> int:
        return int(np.prod(shape, dtype=int))

    def flatten(self, value: FloatArray) -> FloatArray:
        return np.ravel(self._to_line(np.asarray(value, float)))

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        return np.reshape(self._from_line(vector), shape)

    def _to_line(self, value: FloatArray) -> FloatArray:
        return value

    def _from_line(self, value: FloatArray) -> FloatArray:
        return value


@dataclass(frozen=True)
class Real(_Elementwise):
    """Any finite number; the coordinate is the number."""

    def contains(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value)))


@dataclass(frozen=True)
class Positive(_Elementwise):
    """Numbers above zero; the coordinate is the logarithm."""

    def _to_line(self, value: FloatArray) -> FloatArray:
        return np.log(np.maximum(value, _TINY))

    def _from_line(self, value: FloatArray) -> FloatArray:
        return np.exp(np.clip(value, np.log(_TINY), _LARGEST_LOG))

    def contains(self, value: FloatArray) -> bool:
        return bool(np.all(np.isfinite(value) & (value > 0)))


@dataclass(frozen=True)
class Interval(_Elementwise):
    """Numbers from `low` to `high`; the coordinate is the logit of the relative position.

    The ends themselves have the finite coordinates of 1e-300 and 1 - 1e-17, and come back as the ends.
    """

    low: float = 0.0
    high: float = 1.0

    def _to_line(self, value: FloatArray) -> FloatArray:
        share = (value - self.low) / (self.high - self.low)
        return np.log(np.maximum(share, _ZERO)) - np.log(np.maximum(1 - share, 1e-17))

    def _from_line(self, value: FloatArray) -> FloatArray:
        half = 0.5 * np.tanh(0.5 * np.abs(value))
        small = np.exp(-np.abs(value)) / (1 + np.exp(-np.abs(value)))
        share = np.where(value < 0, np.where(value < _LOG_OF_ZERO, 0.0, small), 0.5 + half)
        return self.low + (self.high - self.low) * share

    def contains(self, value: FloatArray) -> bool:
        return bool(np.all((value >= self.low) & (value <= self.high)))


def UnitInterval() -> Interval:  # noqa: N802 - a domain, named as one
    """Probabilities."""
    return Interval(0.0, 1.0)


@dataclass(frozen=True)
class Simplex(Domain):
    """Probabilities along the last axis that add to one; the coordinates are log-ratios to the largest-index entry.

    An entry that is exactly zero has the coordinate of 1e-300, and comes back as exactly zero: no extrapolation of
    such vectors opens a transition that is forbidden.
    """

    def n_free(self, shape: tuple[int, ...]) -> int:
        return int(np.prod(shape[:-1], dtype=int)) * (shape[-1] - 1)

    def flatten(self, value: FloatArray) -> FloatArray:
        logs = np.log(np.maximum(value, _ZERO))
        return np.ravel(logs[..., :-1] - logs[..., -1:])

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        logs = np.zeros(shape)
        logs[..., :-1] = np.reshape(vector, (*shape[:-1], shape[-1] - 1))
        logs -= logs.max(axis=-1, keepdims=True)
        odds = np.where(logs < _LOG_OF_ZERO, 0.0, np.exp(logs))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True))

    def contains(self, value: FloatArray) -> bool:
        total = np.sum(value, axis=-1)
        return bool(np.all(value >= 0) and np.all(np.abs(total - 1) <= 1e-8))


@dataclass(frozen=True)
class PositiveDefinite(Domain):
    """Symmetric positive definite matrices on the last two axes; log-Cholesky coordinates."""

    def n_free(self, shape: tuple[int, ...]) -> int:
        d = shape[-1]
        return int(np.prod(shape[:-2], dtype=int)) * (d * (d + 1) // 2)

    def flatten(self, value: FloatArray) -> FloatArray:
        factor = np.linalg.cholesky(value)
        i, j = np.tril_indices(value.shape[-1])
        lower = factor[..., i, j]
        lower[..., i == j] = np.log(lower[..., i == j])
        return np.ravel(lower)

    def unflatten(self, vector: FloatArray, shape: tuple[int, ...]) -> FloatArray:
        i, j = np.tril_indices(shape[-1])
        lower = np.reshape(vector, (*shape[:-2], len(i))).copy()
        lower[..., i == j] = np.exp(np.clip(lower[..., i == j], -_LARGEST_FACTOR_LOG, _LARGEST_FACTOR_LOG))
        factor = np.zeros(shape)
        factor[..., i, j] = lower
        return np.asarray(factor @ np.swapaxes(factor, -1, -2))

    def contains(self, value: FloatArray) -> bool:
        if not np.all(np.isfinite(value)):
            return False
        try:
            np.linalg.cholesky(value)
        except np.linalg.LinAlgError:
            return False
        root = np.sqrt(np.diagonal(value, axis1=-2, axis2=-1))
        skew = np.abs(value - np.swapaxes(value, -1, -2)) / (root[..., :, None] * root[..., None, :])
        return bool(np.all(skew <= 1e-8))


def parameter(domain: Domain) -> Any:
    """Declare a dataclass field that is an array in `domain`."""
    return field(metadata={"domain": domain})


@dataclass(frozen=True)
class Parameters:
    """A frozen dataclass of arrays (declared by `parameter`), other parameters, and tuples of those."""

    def flatten(self) -> FloatArray:
        """The unconstrained vector."""
        return np.concatenate([part.flatten() for part in self._parts()] or [np.empty(0)])

    def unflatten(self, vector: FloatArray) -> Self:
        """Parameters of the same shapes at another unconstrained vector."""
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        rest = iter(np.split(vector, np.cumsum([part.n_free for part in self._parts()])[:-1]))
        changes = {
            name: _rebuild(value, domain, rest) for name, value, domain in self._declared()
        }
        return replace(self, **changes)

    @property
    def n_free(self) -> int:
        """The number of free parameters."""
        return sum(part.n_free for part in self._parts())

    def arrays(self, prefix: str = "") -> dict[str, Array]:
        """Every array by its dotted name: what model files store and summaries print."""
        return {name: value for name, value, _ in self._leaves(prefix)}

    def check(self) -> Self:
        """Return self, or raise `ParameterError` naming the field outside its domain."""
        for name, value, domain in self._leaves():
            if not domain.contains(np.asarray(value)):
                raise ParameterError(f"{name} must lie in {domain}, got {np.asarray(value).tolist()}")
        return self

    def _declared(self) -> Iterator[tuple[str, Any, Domain | None]]:
        for item in fields(self):
            value = getattr(self, item.name)
            domain = item.metadata.get("domain")
            if domain is not None or isinstance(value, Parameters) or _is_tuple(value):
                yield item.name, value, domain

    def _parts(self) -> list[Any]:
        return [part for _, value, domain in self._declared() for part in _parts_of(value, domain)]

    def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Array, Domain]]:
        for name, value, domain in self._declared():
            if domain is not None:
                yield prefix + name, value, domain
            elif isinstance(value, Parameters):
                yield from value._leaves(f"{prefix}{name}.")
            else:
                for index, item in enumerate(value):
                    yield from item._leaves(f"{prefix}{name}.{index}.")


@dataclass(frozen=True)
class _Leaf:
    value: FloatArray
    domain: Domain

    def flatten(self) -> FloatArray:
        return self.domain.flatten(self.value)

    @property
    def n_free(self) -> int:
        return self.domain.n_free(np.shape(self.value))


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, Parameters) for item in value)


def _parts_of(value: Any, domain: Domain | None) -> list[Any]:
    if domain is not None:
        return [_Leaf(value, domain)]
    return list(value) if isinstance(value, tuple) else [value]


def _rebuild(value: Any, domain: Domain | None, rest: Iterator[FloatArray]) -> Any:
    if domain is not None:
        return domain.unflatten(next(rest), np.shape(value))
    if isinstance(value, tuple):
        return tuple(item.unflatten(next(rest)) for item in value)
    return value.unflatten(next(rest))
