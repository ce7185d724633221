"""The laws of a family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError
from ..kernels.derivatives import gradient
from ..model import Family, Posterior
from ..parameters import Parameters
from ..statistics import is_local
from .comparing import close, magnitudes_of, mean_is, require, same
from .drawing import concatenated, draw, fresh, frozen, one_hot, take, with_holes
from .parameters import check_parameters


@dataclass(frozen=True)
class _Case:
    """A family at its parameters, a batch of its own, and random responsibilities (K, units)."""

    family: Family[Any, Any]
    params: Any
    n_components: int
    batch: Batch
    states: Array
    r: FloatArray
    name: str
    n_covariates: int = 0

    @property
    def n_units(self) -> int:
        return self.r.shape[1]

    def statistics(self, params: Any, r: FloatArray | None = None) -> Any:
        return self.family.statistics(self.batch, Posterior(self.r if r is None else r), params)

    def expected(self, params: Any) -> float:
        """Σ r log p(x; θ) from the densities themselves."""
        return float(np.sum(self.r * self.family.log_density(fresh(self.batch), params)))

    @property
    def magnitude(self) -> float:
        return float(np.sum(self.r * np.abs(self.family.log_density(self.batch, self.params)))) + self.n_units


def check_family(
    family: Family[Any, Any],
    params: Any,
    n_components: int,
    *,
    missing: bool = False,
    outside: Sequence[float] = (),
    n_covariates: int = 0,
    seed: int = 0,
) -> None:
    """The laws of a `Family`.

    Statistics add; a weight of 2 is the row twice; Q does not fall at an M-step and its score vanishes there (with
    `LocalQ`: at the end of a few); Fisher's identity; parameters survive flattening; densities of own samples are
    finite; components may be permuted; an empty component stays sound; samples have the score's moments; missing
    entries are integrated out; values outside the support are told with their place.

    Parameters
    ----------
    family : Family
    params : Parameters
        Inside their domain, not at a bound, the components distinct.
    n_components : int
        K, best unlike the lengths of the other axes.
    missing : bool
        Whether the family integrates missing entries out.
    outside : sequence of float
        Values that its support does not hold.
    n_covariates : int
        How many columns of covariates it wants.
    seed : int
        Of the sample.

    Raises
    ------
    AssertionError
        A law is broken; the message says which, and by how much.
    """
    rng = np.random.default_rng(seed)
    batch, states = draw(family, params, n_components, rng, n_covariates=n_covariates)
    r = frozen(rng.dirichlet(np.ones(n_components), size=len(states)).T)
    case = _Case(family, params, n_components, batch, states, r, type(family).__name__, n_covariates)
    check_parameters(params)
    _law_density_is_finite(case)
    _law_outside_is_told(case, outside if missing else (*outside, np.nan))
    _law_start_is_sound(case)
    _laws_of_statistics(case)
    _law_components_permute(case)
    _law_samples_have_the_score(case, None)
    if missing:
        _law_columns_marginalize(case)
        _laws_of_statistics(replace(case, batch=with_holes(batch, rng), name=f"{case.name} with missing entries"))
        _law_samples_have_the_score(case, rng)


def _laws_of_statistics(case: _Case) -> None:
    _law_statistics_add(case)
    _law_weight_is_repetition(case)
    _law_fisher(case)
    _law_m_step(case)
    _law_empty_component_stays_sound(case)
    _law_memory_changes_nothing(case)


def _law_density_is_finite(case: _Case) -> None:
    density = case.family.log_density(case.batch, case.params)
    shape = (case.n_components, case.n_units)
    require(density.shape == shape, f"{case.name}: log_density must have shape {shape}, got {density.shape}")
    own = density[case.states, np.arange(case.n_units)]
    wrong = np.flatnonzero(~np.isfinite(own))
    require(not len(wrong), f"{case.name}: log_density of its own samples must be finite, units {wrong[:5]} are not")
    case.family.check(case.batch)


def _law_outside_is_told(case: _Case, outside: Sequence[float]) -> None:
    """Values that the support does not hold; also a missing entry, where the family cannot integrate it out."""
    for value in outside:
        values = case.batch.values.copy()
        values[2, -1] = value
        try:
            case.family.check(replace(case.batch, values=values, missing=bool(np.isnan(value)), memo={}))
        except DataError as error:
            places = "row 2" in str(error)
            require(places, f"{case.name}: the error for {value} must name row 2, got: {error}")
        else:
            raise AssertionError(f"{case.name}: check must reject {value} in row 2")


def _law_start_is_sound(case: _Case) -> None:
    one = take(case.batch, 0, 1, case.family.per_group)
    for text, batch in (("pooled rows", case.batch), ("a single unit", one)):
        start = case.family.start(batch, case.n_components)
        start.check()
        shape = [np.shape(value) for value in start.arrays().values()]
        expected = [np.shape(value) for value in case.params.arrays().values()]
        require(shape == expected, f"{case.name}: start from {text} has shapes {shape}, expected {expected}")
        finite = np.isfinite(case.family.log_density(fresh(batch), start)).all()
        require(bool(finite), f"{case.name}: start from {text} gives those rows a density of zero or infinity")


def _law_statistics_add(case: _Case) -> None:
    whole = case.statistics(case.params)
    cut = case.n_units // 3
    first, rest = (_part(case, a, b) for a, b in ((0, cut), (cut, case.n_units)))
    bound = magnitudes_of(_part(case, u, u + 1) for u in range(case.n_units))
    same(first + rest, whole, bound, 1e-12, f"{case.name}: statistics of two parts add up to those of the whole")


def _law_weight_is_repetition(case: _Case) -> None:
    times = np.arange(case.n_units) % 3
    weighted = case.family.statistics(case.batch, Posterior(case.r, times.astype(float)), case.params)
    index = np.repeat(np.arange(case.n_units), times)
    parts = [take(case.batch, int(u), int(u) + 1, case.family.per_group) for u in index]
    repeated = concatenated(parts, case.family.per_group)
    expected = case.family.statistics(repeated, Posterior(case.r[:, index]), case.params)
    bound = magnitudes_of(_part(case, u, u + 1) * 2.0 for u in range(case.n_units))
    same(weighted, expected, bound, 1e-13, f"{case.name}: a weight of 2 is the row twice, a weight of 0 its absence")


def _law_fisher(case: _Case) -> None:
    """∇ Σ r log p(x; θ) = ∇Q(θ; S(θ)): what is summed is right to first order, for every parameter."""
    statistics = case.statistics(case.params)
    numeric = gradient(lambda v: case.expected(case.params.unflatten(v)), case.params.flatten())
    score = case.family.score(statistics, case.params)
    close(score, numeric, 1e-7 * case.magnitude, f"{case.name}: the score of Q is the gradient of the log density")


def _law_m_step(case: _Case) -> None:
    statistics = case.statistics(case.params)
    updated = case.family.maximize(statistics, case.params).check()
    slack = 1e-12 * case.magnitude
    if is_local(statistics):
        slope = case.family.score(statistics, case.params) @ (updated.flatten() - case.params.flatten())
        require(slope >= 0, f"{case.name}: the step of the M-step descends (its slope is {slope:g})")
        updated = _settled(case)
        statistics = case.statistics(updated)
    else:
        before, after = (case.expected(params) + case.family.log_prior(params) for params in (case.params, updated))
        require(after >= before - slack, f"{case.name}: Σ r log p falls at an M-step, from {before!r} to {after!r}")
        q = [
            case.family.expected_log_density(statistics, params) + case.family.log_prior(params)
            for params in (case.params, updated)
        ]
        require(q[1] >= q[0] - slack, f"{case.name}: Q falls at an M-step, from {q[0]!r} to {q[1]!r}")
    score = case.family.score(statistics, updated) + _prior_score(case.family, updated)
    close(score, np.zeros_like(score), 1e-7 * case.magnitude, f"{case.name}: the score of Q vanishes at its maximum")


def _prior_score(family: Family[Any, Any], params: Any) -> FloatArray:
    """The gradient of the log prior that the M-step takes into account."""
    if family.log_prior(params) == 0:
        return np.zeros(params.n_free)
    return gradient(lambda v: family.log_prior(params.unflatten(v)), params.flatten())


def _settled(case: _Case) -> Any:
    """The end of repeated M-steps, halved where they would fall, as the engine does."""
    params, value = case.params, case.expected(case.params)
    for _ in range(100):
        here, there = params.flatten(), case.family.maximize(case.statistics(params), params).flatten()
        steps = (params.unflatten(here + (there - here) * 0.5**i) for i in range(12))
        better = next((step for step in steps if case.expected(step) >= value - 1e-13 * case.magnitude), params)
        if np.max(np.abs(better.flatten() - here)) < 1e-10:
            break
        params, value = better, case.expected(better)
    return params


def _law_empty_component_stays_sound(case: _Case) -> None:
    if case.n_components == 1:
        return
    r = case.r.copy()
    r[0] = 0.0
    updated = case.family.maximize(case.statistics(case.params, r), case.params)
    finite = all(np.isfinite(value).all() for value in updated.arrays().values())
    require(finite, f"{case.name}: a component without data must keep finite parameters, got {updated.arrays()}")
    updated.check()


def _law_memory_changes_nothing(case: _Case) -> None:
    """A batch that lives on gives what a new one gives, at any parameters."""
    rng, vector, kept = np.random.default_rng(2), case.params.flatten(), fresh(case.batch)
    for _ in range(6):
        params = case.params.unflatten(vector + rng.normal(scale=0.1, size=vector.shape))
        used = case.family.log_density(kept, params)
        new = case.family.log_density(fresh(case.batch), params)
        require(np.array_equal(used, new), f"{case.name}: log_density depends on what the batch was asked before")
        del params


def _law_components_permute(case: _Case) -> None:
    k = case.n_components
    order = np.roll(np.arange(k), 1)
    permuted, moved = _permute(case.params, order, k)
    if k == 1 or not moved:
        return
    density = case.family.log_density(case.batch, case.params)
    law = f"{case.name}: permuting the components permutes"
    scale = 1e-11 * (1 + np.abs(density[order]))
    close(case.family.log_density(case.batch, permuted), density[order], scale, f"{law} the densities")
    updated = case.family.maximize(case.statistics(case.params), case.params)
    expected = _permute(updated, order, k)[0]
    swapped = case.family.maximize(case.statistics(permuted, case.r[order]), permuted)
    for (label, value), other in zip(expected.arrays().items(), swapped.arrays().values(), strict=True):
        close(other, value, 1e-9 * (1 + np.abs(value)), f"{law} the M-step's {label}")


def _law_samples_have_the_score(case: _Case, holes: np.random.Generator | None, blocks: int = 40) -> None:
    """E[∇ log p(x; θ)] = 0 at the θ that x was drawn from."""
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(blocks):
        n_units = 40 * case.n_components
        batch, states = draw(case.family, case.params, case.n_components, rng, n_units, case.n_covariates)
        batch = batch if holes is None else with_holes(batch, holes)
        posterior = Posterior(one_hot(states, case.n_components))
        scores.append(case.family.score(case.family.statistics(batch, posterior, case.params), case.params))
    which = "samples" if holes is None else "samples with missing entries"
    mean_is(np.array(scores), 0.0, f"{case.name}: the mean score of its own {which} is zero")


def _law_columns_marginalize(case: _Case) -> None:
    """With an entry missing the density is the marginal one: E[p(x₁) p(x₂…) / p(x)] = 1."""
    rng = np.random.default_rng(4)
    batch, states = draw(case.family, case.params, case.n_components, rng, 4000, case.n_covariates)
    first = np.arange(batch.n_columns) == 0

    def own(mask: Array) -> FloatArray:
        values = np.where(mask, batch.values, np.nan)
        density = case.family.log_density(replace(batch, values=values, missing=True, memo={}), case.params)
        return density[states, np.arange(len(states))]

    whole = own(first | ~first)
    complete = case.family.log_density(batch, case.params)[states, np.arange(len(states))]
    close(whole, complete, 1e-11 * (1 + np.abs(complete)), f"{case.name}: declaring none missing changes the density")
    nothing = own(first & ~first)
    close(nothing, 0 * nothing, np.full_like(nothing, 1e-12), f"{case.name}: a row with nothing observed has density 1")
    ratio = np.exp(own(first) + own(~first) - whole)
    mean_is(ratio[:, None], 1.0, f"{case.name}: the mean of p(x₁) p(x₂…) / p(x) is one")


def _part(case: _Case, start: int, stop: int) -> Any:
    batch = take(case.batch, start, stop, case.family.per_group)
    return case.family.statistics(batch, Posterior(case.r[:, start:stop]), case.params)


def _permute(params: Any, order: Array, k: int) -> tuple[Any, bool]:
    """The parameters with their components in another order, and whether any array has components."""
    if isinstance(params, tuple):
        parts = [_permute(item, order, k) for item in params]
        return tuple(part for part, _ in parts), any(moved for _, moved in parts)
    if isinstance(params, np.ndarray):
        has = params.ndim > 0 and len(params) == k
        return (params[order] if has else params), has
    if not isinstance(params, Parameters):
        return params, False
    changed = {f.name: _permute(getattr(params, f.name), order, k) for f in fields(params)}
    return replace(params, **{name: value for name, (value, _) in changed.items()}), any(m for _, m in changed.values())
