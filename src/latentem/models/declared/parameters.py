"""The parameters of a declared model: arrays by the names and in the domains that the user gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..._typing import FloatArray
from ...domains import Correlation, Domain, Interval, Positive, PositiveDefinite
from ...domains.constraints import without_constraints
from ...errors import ParameterError
from ...parameters import Parameters

Domains = tuple[tuple[str, Domain], ...]


@dataclass(frozen=True, eq=False, repr=False)
class DeclaredParameters(Parameters):
    """Arrays by name, `parameters.means` or `parameters["means"]`.

    Attributes
    ----------
    domains : tuple of (name, Domain)
    values : tuple of arrays
        In the order of `domains`, each of its domain's shape.
    """

    domains: Domains
    values: tuple[FloatArray, ...]

    @classmethod
    def of(cls, domains: Domains, values: Mapping[str, Any]) -> Self:
        """Parameters from arrays by name; numbers stand for arrays that are all equal.

        Raises
        ------
        ParameterError
            A name is unknown or missing, a shape is wrong, or a value lies outside its domain.
        """
        names = [name for name, _ in domains]
        for name in values:
            if name not in names:
                raise ParameterError(f"the model has no parameter {name!r}; its parameters are {', '.join(names)}")
        for name in names:
            if name not in values:
                raise ParameterError(f"the parameter {name!r} has no value")
        return cls(domains, tuple(shaped(name, values[name], domain) for name, domain in domains)).check()

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            for (known, _), value in zip(self.domains, self.values, strict=True):
                if known == name:
                    return value
        raise AttributeError(f"{type(self).__name__} has no {name!r}")

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.by_name.items())
        return f"{type(self).__name__}({inside})"

    def __getitem__(self, name: str) -> FloatArray:
        return self.by_name[name]

    @property
    def by_name(self) -> dict[str, FloatArray]:
        """The arrays by name."""
        return {name: value for (name, _), value in zip(self.domains, self.values, strict=True)}

    def unflatten(self, vector: FloatArray) -> Self:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        return type(self)(self.domains, unflatten(self.domains, vector))

    def _declared(self) -> Iterator[tuple[str, Any, Domain | None]]:
        for (name, domain), value in zip(self.domains, self.values, strict=True):
            yield name, value, domain


def unflatten(domains: Domains, vector: Any, xp: Any = np) -> tuple[Any, ...]:
    """The arrays at an unconstrained vector, in NumPy or in JAX."""
    values, start = [], 0
    for _, domain in domains:
        stop = start + domain.n_free(domain.shape)
        values.append(domain.unflatten(vector[start:stop], domain.shape, xp))
        start = stop
    return tuple(values)


def shaped(name: str, value: Any, domain: Domain) -> FloatArray:
    """A parameter's value as an array of its domain's shape; a single number may stand for all entries."""
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the parameter {name!r} must be numbers, got {value!r}") from error
    if array.ndim == 0 and domain.shape:
        array = np.full(domain.shape, float(array))
    if array.shape != domain.shape:
        raise ParameterError(f"the parameter {name!r} must have shape {domain.shape}, got {array.shape}")
    return array


def coordinate_kinds(domains: Domains) -> Iterator[tuple[str, str]]:
    """(parameter, kind) of each coordinate: the logarithm of a number above zero ("log"), "correlation", or "other"."""
    for name, domain in domains:
        base = without_constraints(domain)
        half_line = isinstance(base, Interval) and np.isinf(base.high)
        for label in domain.coordinate_names(name, domain.shape):
            if isinstance(base, Correlation):
                yield name, "correlation"
            elif isinstance(base, Positive) or half_line or (
                isinstance(base, PositiveDefinite) and label.startswith("log ")
            ):
                yield name, "log"
            else:
                yield name, "other"


def logarithms(params: DeclaredParameters) -> FloatArray:
    """The coordinates of `params` that are logarithms of numbers above zero."""
    kinds = [kind == "log" for _, kind in coordinate_kinds(params.domains)]
    return np.asarray(params.flatten()[np.array(kinds, bool)])
