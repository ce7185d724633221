"""Parameters of any family held at their starting values, or tied across components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form
from ..errors import ParameterError
from ..model import Family, Mask, Posterior, hold
from ..parameters import Domain, Parameters
from ..statistics import is_local
from .composite import AnyFamily
from .numeric_step import numeric_m_step

# A Newton step that moves no coordinate further is trusted; near a maximum all do.
TRUSTED = 0.3


@dataclass(frozen=True, eq=False)
class Layout:
    """How the free coordinates drive those of the base parameters.

    Attributes
    ----------
    groups : (n,) int
        For each unconstrained coordinate of the base, the free coordinate that it equals; -1 where it is held.
    held : tuple of (name, mask)
        Arrays that keep their values, in the components where the mask is True (None: everywhere).
    tied : tuple of name
        Arrays whose components are equal.
    """

    groups: Array
    held: tuple[tuple[str, Mask | None], ...]
    tied: tuple[str, ...]


@dataclass(frozen=True)
class ConstrainedParameters(Parameters):
    """Parameters of a family, of which fewer are free; attributes are those of `base`."""

    base: Any
    layout: Layout

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("base", "layout"):
            raise AttributeError(name)
        return getattr(self.base, name)

    @property
    def n_free(self) -> int:
        return int(self.layout.groups.max(initial=-1)) + 1

    def flatten(self) -> FloatArray:
        return self.reduced(self.base)

    def unflatten(self, vector: FloatArray) -> Self:
        if np.shape(vector) != (self.n_free,):
            raise ParameterError(f"expected a vector of {self.n_free} free parameters, got shape {np.shape(vector)}")
        coordinates, free = self.base.flatten(), self.layout.groups >= 0
        coordinates[free] = vector[self.layout.groups[free]]
        return replace(self, base=self._exact(self.base.unflatten(coordinates)))

    def reduced(self, base: Any) -> FloatArray:
        """The free vector nearest to other base parameters: means over the coordinates that are tied."""
        return self.summed(base.flatten()) / self.summed(np.ones(len(self.layout.groups)))

    def summed(self, coordinates: FloatArray) -> FloatArray:
        """Sums over the coordinates that each free one drives: the chain rule for gradients."""
        free = self.layout.groups >= 0
        sums = np.bincount(self.layout.groups[free], coordinates[free], minlength=self.n_free)
        return np.asarray(sums, float)

    def _exact(self, moved: Any) -> Any:
        """The way to coordinates and back rounds; values that are held or tied are so to the last bit."""
        now = moved.arrays()
        changes = {name: np.broadcast_to(now[name][:1], now[name].shape).copy() for name in self.layout.tied}
        before = self.base.arrays()
        held = dict(self.layout.held)
        changes |= {name: hold(held, name, before[name], now[name]) for name in held}
        return _with_arrays(moved, changes) if changes else moved

    def _leaves(self, prefix: str = "") -> Any:
        return self.base._leaves(prefix)


@dataclass(frozen=True)
class Constrained(Family[ConstrainedParameters, Any]):
    """A family some of whose parameters are held at their starting values, or equal in all components.

    The constraints act on the unconstrained vector: coordinates are left out, or shared.  The M-step is the family's
    own where it has one under the constraints (`maximize_constrained`), else Newton's method on Q over what is left,
    from the better of the current parameters and the family's own maximizer brought onto the constraints.

    Attributes
    ----------
    family : Family
    fixed : tuple of str, or mapping from str to a mask
        Arrays by the names that `Parameters.arrays()` gives them ("means", "parts.0.rates").  A mask with one entry for
        each component says in which of them the array is held; without one it is held in all.
    tied : tuple of str
        Arrays, one entry for each component along the leading axis, that are to be equal in all of them.

    Raises
    ------
    ParameterError
        A name that the family does not have, a name both fixed and tied, a mask of the wrong length, or an array
        without an axis of components where one is needed.

    Notes
    -----
    Values are fixed where they start: `constrain(params)` turns parameters of the family into constrained ones.
    """

    family: AnyFamily
    fixed: tuple[str, ...] | Mapping[str, Sequence[bool]] = ()
    tied: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if any(isinstance(names, str) for names in (self.fixed, self.tied)):
            raise ParameterError('fixed and tied are tuples of names: write ("means",), not "means"')
        if not self.fixed and not self.tied:
            raise ParameterError("Constrained needs a parameter to fix or to tie; without one use the family itself")
        both = set(self.fixed) & set(self.tied)
        if both:
            raise ParameterError(f"{sorted(both)[0]} is both fixed and tied; values that are fixed equal stay equal")

    def __hash__(self) -> int:
        return hash((self.family, self._held, self.tied))

    @property
    def _held(self) -> tuple[tuple[str, Mask | None], ...]:
        if isinstance(self.fixed, Mapping):
            return tuple((name, tuple(map(bool, mask))) for name, mask in self.fixed.items())
        return tuple((name, None) for name in self.fixed)

    @property
    def per_group(self) -> bool:
        return self.family.per_group

    @property
    def discrete(self) -> bool:
        return self.family.discrete

    @property
    def form(self) -> Form:
        return self.family.form

    def constrain(self, params: Any) -> ConstrainedParameters:
        """Parameters of the family under the constraints: fixed at their values, tied at the mean coordinates."""
        groups = _groups(params, dict(self._held), self.tied)
        start = ConstrainedParameters(params, Layout(groups, self._held, self.tied))
        return start.unflatten(start.flatten())

    def start(self, batch: Batch, n_components: int) -> ConstrainedParameters:
        return self.constrain(self.family.start(batch, n_components))

    def log_density(self, batch: Batch, params: ConstrainedParameters) -> FloatArray:
        return self.family.log_density(batch, params.base)

    def statistics(self, batch: Batch, posterior: Posterior, params: ConstrainedParameters) -> Any:
        return self.family.statistics(batch, posterior, params.base)

    def maximize(self, statistics: Any, params: ConstrainedParameters) -> ConstrainedParameters:
        layout = params.layout
        closed = self.family.maximize_constrained(statistics, params.base, dict(layout.held), layout.tied)
        return self._numerically(statistics, params) if closed is None else replace(params, base=closed)

    def _numerically(self, statistics: Any, params: ConstrainedParameters) -> ConstrainedParameters:
        nearest = params.unflatten(params.reduced(self.family.maximize(statistics, params.base)))
        updated: ConstrainedParameters = numeric_m_step(self, statistics, params, nearest)
        return nearest if is_local(statistics) and self._is_safer(nearest, updated, params, statistics) else updated

    def _is_safer(self, nearest: Any, newton: Any, params: ConstrainedParameters, statistics: Any) -> bool:
        """Whether a point that ascends is to be preferred to a Newton step too long for what Q's curvature can tell."""
        here = params.flatten()
        jump, step = nearest.flatten() - here, newton.flatten() - here
        long = min(np.max(np.abs(jump), initial=0.0), np.max(np.abs(step), initial=0.0)) > TRUSTED
        return bool(long and self.score(statistics, params) @ jump > 0)

    def expected_log_density(self, statistics: Any, params: ConstrainedParameters) -> float:
        return self.family.expected_log_density(statistics, params.base)

    def score(self, statistics: Any, params: ConstrainedParameters) -> FloatArray:
        return params.summed(self.family.score(statistics, params.base))

    def log_prior(self, params: ConstrainedParameters) -> float:
        return self.family.log_prior(params.base)

    def admissible(self, params: ConstrainedParameters) -> bool:
        return self.family.admissible(params.base)

    def findings(self, statistics: Any, params: ConstrainedParameters) -> list[tuple[int, str]]:
        return self.family.findings(statistics, params.base)

    def check(self, batch: Batch) -> None:
        self.family.check(batch)

    def points(self, batch: Batch) -> FloatArray | None:
        return self.family.points(batch)

    def sample(self, params: ConstrainedParameters, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.family.sample(params.base, states, rng)

    def sample_given(
        self, params: ConstrainedParameters, states: Array, given: Batch | None, rng: np.random.Generator
    ) -> FloatArray:
        return self.family.sample_given(params.base, states, given, rng)


def _groups(params: Parameters, held: dict[str, Mask | None], tied: tuple[str, ...]) -> Array:
    """The free coordinate of each coordinate of `params.flatten()`."""
    names = params.arrays()
    unknown = [name for name in (*held, *tied) if name not in names]
    if unknown:
        raise ParameterError(f"there is no parameter {unknown[0]!r}; those of the family are {', '.join(names)}")
    groups: list[Array] = []
    count = 0
    for name, value, domain in params._leaves():
        own = np.arange(domain.n_free(np.shape(value)))
        if name in tied:
            own = own % max(1, _coordinates_per_component(name, value, domain))
        elif name in held:
            own = _without(own, held[name], name, value, domain)
        groups.append(np.where(own >= 0, own + count, -1))
        count += int(own.max(initial=-1)) + 1
    return np.concatenate(groups)


def _without(own: Array, mask: Mask | None, name: str, value: Array, domain: Domain) -> Array:
    """Coordinates numbered anew with those that are held left out."""
    if mask is None:
        return np.full(len(own), -1)
    each = _coordinates_per_component(name, value, domain)
    if len(mask) != len(value):
        raise ParameterError(f"the mask of {name} has {len(mask)} entries, but there are {len(value)} components")
    free = ~np.repeat(np.array(mask), each)
    return np.where(free, np.cumsum(free) - 1, -1)


def _coordinates_per_component(name: str, value: Array, domain: Domain) -> int:
    """Coordinates of one component of an array; an error where it has no axis of components."""
    shape = np.shape(value)
    try:
        each = domain.n_free(shape[1:])
    except IndexError:
        each = -1
    if not shape or each * shape[0] != domain.n_free(shape):
        raise ParameterError(f"{name} with shape {shape} has no axis of components; it can only be fixed as a whole")
    return each


def _with_arrays(params: Any, changes: dict[str, Array], prefix: str = "") -> Any:
    """The parameters with some arrays, given by dotted names, replaced."""
    if isinstance(params, tuple):
        return tuple(_with_arrays(item, changes, f"{prefix}{i}.") for i, item in enumerate(params))
    if isinstance(params, ConstrainedParameters):
        return replace(params, base=_with_arrays(params.base, changes, prefix))
    inside = {
        item.name: _with_arrays(value, changes, f"{prefix}{item.name}.")
        for item in fields(params)
        if isinstance(value := getattr(params, item.name), Parameters | tuple)
    }
    own = {item.name: changes[prefix + item.name] for item in fields(params) if prefix + item.name in changes}
    return replace(params, **(inside | own))
