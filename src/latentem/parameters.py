"""Parameters: frozen records of arrays whose fields say in which domain they live.

Optimizers, standard errors and accelerations work on the unconstrained vector.  The way there and
back, and the number of free parameters, follow from the domains; nobody types a count by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from ._typing import Array, FloatArray
from .domains import (  # families find the domains beside `parameter`
    Correlation as Correlation,
    Domain as Domain,
    Interval as Interval,
    LowerTriangular as LowerTriangular,
    Ordered as Ordered,
    Positive as Positive,
    PositiveDefinite as PositiveDefinite,
    Real as Real,
    Simplex as Simplex,
    UnitInterval as UnitInterval,
)
from .errors import ParameterError


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
        changes = {name: _rebuild(value, domain, rest) for name, value, domain in self._declared()}
        return replace(self, **changes)

    @property
    def n_free(self) -> int:
        """The number of free parameters."""
        return sum(part.n_free for part in self._parts())

    def coordinate_names(self, prefix: str = "") -> list[str]:
        """What each entry of the unconstrained vector is: "log inner.scales[0]".

        Where a subclass flattens in a way of its own, it should override this too; until it does, they are numbered.
        """
        names = [name for parts in self._declared() for name in _names_of(*parts, prefix)]
        kind = prefix.rstrip(".") or type(self).__name__
        return names if len(names) == self.n_free else [f"{kind} (coordinate {i})" for i in range(self.n_free)]

    def arrays(self, prefix: str = "") -> dict[str, Array]:
        """Every array by its dotted name: what model files store and summaries print."""
        return {name: value for name, value, _ in self._leaves(prefix)}

    def array_domains(self) -> list[Domain]:
        """The domain of each array, in the order of `arrays`."""
        return [domain for _, _, domain in self._leaves()]

    def blend(self, other: Self, share: float) -> Self:
        """(1 - share) of these arrays and `share` of the other's, entry by entry: all domains are convex."""
        theirs = {name: value for name, value, _ in other._declared()}
        changes = {name: _blended(value, theirs[name], share) for name, value, _ in self._declared()}
        return replace(self, **changes)

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


def _names_of(name: str, value: Any, domain: Domain | None, prefix: str) -> list[str]:
    if domain is not None:
        return domain.coordinate_names(prefix + name, np.shape(value))
    if isinstance(value, tuple):
        return [label for i, item in enumerate(value) for label in item.coordinate_names(f"{prefix}{name}.{i}.")]
    names: list[str] = value.coordinate_names(f"{prefix}{name}.")
    return names


def _blended(mine: Any, other: Any, share: float) -> Any:
    if isinstance(mine, tuple):
        return tuple(_blended(a, b, share) for a, b in zip(mine, other, strict=True))
    return mine.blend(other, share) if isinstance(mine, Parameters) else (1 - share) * mine + share * other


def _rebuild(value: Any, domain: Domain | None, rest: Iterator[FloatArray]) -> Any:
    if domain is not None:
        return domain.unflatten(next(rest), np.shape(value))
    if isinstance(value, tuple):
        return tuple(item.unflatten(next(rest)) for item in value)
    return value.unflatten(next(rest))
