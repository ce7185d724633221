"""The laws that every family, latent, model, acceleration and executor must keep, as functions to call from tests.

Each check raises `AssertionError` with the law in words and the numbers that break it.  Whoever adds a family writes one
line of test: ``check_family(MyFamily(), parameters, n_components=3)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ._typing import Array, FloatArray
from .data import ArraySource, Batch
from .em import Acceleration, Executor, run
from .errors import DataError
from .execution.serial import Serial
from .families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from .kernels.derivatives import gradient
from .latents.categorical import Categorical, CategoricalParameters
from .model import Family, Latent, LatentVariableModel, ModelParameters, ModelStatistics, Posterior
from .parameters import Parameters
from .result import EMResult, Iteration, Status
from .statistics import Expectation, LocalQ, Statistics, arrays_of

GROUP_LENGTH = 4
SIGMAS = 5.5


# -- data for the checks ---------------------------------------------------------------------------


def draw(
    family: Family[Any, Any], params: Any, n_components: int, rng: np.random.Generator, n_units: int = 60
) -> tuple[Batch, Array]:
    """A batch drawn from the family's own `sample`, and the component of each unit (they take turns).

    Where the unit is a group, every group has four rows.  The arrays are read-only.
    """
    states = np.arange(n_units) % n_components
    if not family.per_group:
        return Batch(_frozen(family.sample(params, states, rng))), states
    groups = [family.sample(params, np.full(GROUP_LENGTH, state), rng) for state in states]
    return Batch(_frozen(np.concatenate(groups)), offsets=np.arange(n_units + 1) * GROUP_LENGTH), states


def with_holes(batch: Batch, rng: np.random.Generator, share: float = 0.3) -> Batch:
    """The batch with a share of its entries missing, at random."""
    values = np.where(rng.random(batch.values.shape) < share, np.nan, batch.values)
    return replace(batch, values=_frozen(values), missing=True, memo={})


def take(batch: Batch, start: int, stop: int, per_group: bool) -> Batch:
    """Units `start` to `stop` of a batch: rows, or groups."""
    rows, offsets = slice(start, stop), None
    if per_group:
        rows = slice(*batch.group_offsets[[start, stop]])
        offsets = batch.group_offsets[start : stop + 1] - batch.group_offsets[start]
    weights = None if batch.weights is None else batch.weights[rows]
    labels = None if batch.labels is None else batch.labels[rows]
    return Batch(batch.values[rows], weights, labels, offsets, batch.first_row, batch.missing)


# -- families --------------------------------------------------------------------------------------


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
    seed: int = 0,
) -> None:
    """The laws of a `Family`.

    Statistics add; a weight of 2 is the row twice; Q does not fall at an M-step and its score vanishes there (with
    `LocalQ`: at the end of a few); Fisher's identity; parameters survive flattening; densities of own samples are finite;
    components may be permuted; an empty component stays sound; samples have the score's moments; missing entries are
    integrated out; values outside the support are told with their place.

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
    seed : int
        Of the sample.

    Raises
    ------
    AssertionError
        A law is broken; the message says which, and by how much.
    """
    rng = np.random.default_rng(seed)
    batch, states = draw(family, params, n_components, rng)
    r = _frozen(rng.dirichlet(np.ones(n_components), size=len(states)).T)
    case = _Case(family, params, n_components, batch, states, r, type(family).__name__)
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


def check_parameters(params: Parameters) -> None:
    """Flattening is a bijection; `n_free` is the vector's length; neighbours lie in the domain."""
    name = type(params).__name__
    vector = params.flatten()
    _require(vector.shape == (params.n_free,), f"{name}: n_free is {params.n_free}, the vector is {vector.shape}")
    params.check()
    back = params.unflatten(vector)
    for (label, value), other in zip(params.arrays().items(), back.arrays().values(), strict=True):
        _close(other, value, 1e-11 * np.abs(value), f"{name}.{label}: unflatten(flatten(θ)) = θ")
    moved = vector + np.random.default_rng(1).normal(scale=0.3, size=vector.shape)
    neighbour = params.unflatten(moved).check()
    _close(neighbour.flatten(), moved, 1e-7 * (1 + np.abs(moved)), f"{name}: flatten(unflatten(v)) = v")


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
    _require(density.shape == shape, f"{case.name}: log_density must have shape {shape}, got {density.shape}")
    own = density[case.states, np.arange(case.n_units)]
    wrong = np.flatnonzero(~np.isfinite(own))
    _require(not len(wrong), f"{case.name}: log_density of its own samples must be finite, units {wrong[:5]} are not")
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
            _require(places, f"{case.name}: the error for {value} must name row 2, got: {error}")
        else:
            raise AssertionError(f"{case.name}: check must reject {value} in row 2")


def _law_start_is_sound(case: _Case) -> None:
    one = take(case.batch, 0, 1, case.family.per_group)
    for text, batch in (("pooled rows", case.batch), ("a single unit", one)):
        start = case.family.start(batch, case.n_components)
        start.check()
        shape = [np.shape(value) for value in start.arrays().values()]
        expected = [np.shape(value) for value in case.params.arrays().values()]
        _require(shape == expected, f"{case.name}: start from {text} has shapes {shape}, expected {expected}")
        finite = np.isfinite(case.family.log_density(fresh(batch), start)).all()
        _require(bool(finite), f"{case.name}: start from {text} gives those rows a density of zero or infinity")


def _law_statistics_add(case: _Case) -> None:
    whole = case.statistics(case.params)
    cut = case.n_units // 3
    first, rest = (_part(case, a, b) for a, b in ((0, cut), (cut, case.n_units)))
    bound = _magnitudes(_part(case, u, u + 1) for u in range(case.n_units))
    _same(first + rest, whole, bound, 1e-12, f"{case.name}: statistics of two parts add up to those of the whole")


def _law_weight_is_repetition(case: _Case) -> None:
    times = np.arange(case.n_units) % 3
    weighted = case.family.statistics(case.batch, Posterior(case.r, times.astype(float)), case.params)
    index = np.repeat(np.arange(case.n_units), times)
    parts = [take(case.batch, int(u), int(u) + 1, case.family.per_group) for u in index]
    repeated = _concatenated(parts, case.family.per_group)
    expected = case.family.statistics(repeated, Posterior(case.r[:, index]), case.params)
    bound = _magnitudes(_part(case, u, u + 1) * 2.0 for u in range(case.n_units))
    _same(weighted, expected, bound, 1e-13, f"{case.name}: a weight of 2 is the row twice, a weight of 0 its absence")


def _law_fisher(case: _Case) -> None:
    """∇ Σ r log p(x; θ) = ∇Q(θ; S(θ)): what is summed is right to first order, for every parameter."""
    statistics = case.statistics(case.params)
    numeric = gradient(lambda v: case.expected(case.params.unflatten(v)), case.params.flatten())
    score = case.family.score(statistics, case.params)
    _close(score, numeric, 1e-7 * case.magnitude, f"{case.name}: the score of Q is the gradient of the log density")


def _law_m_step(case: _Case) -> None:
    statistics = case.statistics(case.params)
    updated = case.family.maximize(statistics, case.params).check()
    slack = 1e-12 * case.magnitude
    if _is_local(statistics):
        slope = case.family.score(statistics, case.params) @ (updated.flatten() - case.params.flatten())
        _require(slope >= 0, f"{case.name}: the step of the M-step descends (its slope is {slope:g})")
        updated = _settled(case)
        statistics = case.statistics(updated)
    else:
        before, after = case.expected(case.params), case.expected(updated)
        _require(after >= before - slack, f"{case.name}: Σ r log p falls at an M-step, from {before!r} to {after!r}")
        q = [case.family.expected_log_density(statistics, params) for params in (case.params, updated)]
        _require(q[1] >= q[0] - slack, f"{case.name}: Q falls at an M-step, from {q[0]!r} to {q[1]!r}")
    score = case.family.score(statistics, updated)
    _close(score, np.zeros_like(score), 1e-7 * case.magnitude, f"{case.name}: the score of Q vanishes at its maximum")


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
    _require(finite, f"{case.name}: a component without data must keep finite parameters, got {updated.arrays()}")
    updated.check()


def _law_memory_changes_nothing(case: _Case) -> None:
    """A batch that lives on gives what a new one gives, at any parameters."""
    rng, vector, kept = np.random.default_rng(2), case.params.flatten(), fresh(case.batch)
    for _ in range(6):
        params = case.params.unflatten(vector + rng.normal(scale=0.1, size=vector.shape))
        used = case.family.log_density(kept, params)
        new = case.family.log_density(fresh(case.batch), params)
        _require(np.array_equal(used, new), f"{case.name}: log_density depends on what the batch was asked before")
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
    _close(case.family.log_density(case.batch, permuted), density[order], scale, f"{law} the densities")
    updated = case.family.maximize(case.statistics(case.params), case.params)
    expected = _permute(updated, order, k)[0]
    swapped = case.family.maximize(case.statistics(permuted, case.r[order]), permuted)
    for (label, value), other in zip(expected.arrays().items(), swapped.arrays().values(), strict=True):
        _close(other, value, 1e-9 * (1 + np.abs(value)), f"{law} the M-step's {label}")


def _law_samples_have_the_score(case: _Case, holes: np.random.Generator | None, blocks: int = 40) -> None:
    """E[∇ log p(x; θ)] = 0 at the θ that x was drawn from."""
    rng = np.random.default_rng(3)
    scores = []
    for _ in range(blocks):
        batch, states = draw(case.family, case.params, case.n_components, rng, 40 * case.n_components)
        batch = batch if holes is None else with_holes(batch, holes)
        posterior = Posterior(_one_hot(states, case.n_components))
        scores.append(case.family.score(case.family.statistics(batch, posterior, case.params), case.params))
    _mean_is(np.array(scores), 0.0, f"{case.name}: the mean score of its own samples is zero{holes and ' (missing)' or ''}")


def _law_columns_marginalize(case: _Case) -> None:
    """With an entry missing the density is the marginal one: E[p(x₁) p(x₂…) / p(x)] = 1."""
    batch, states = draw(case.family, case.params, case.n_components, np.random.default_rng(4), 4000)
    first = np.arange(batch.n_columns) == 0

    def own(mask: Array) -> FloatArray:
        values = np.where(mask, batch.values, np.nan)
        density = case.family.log_density(Batch(values, offsets=batch.offsets, missing=True), case.params)
        return density[states, np.arange(len(states))]

    whole = own(first | ~first)
    complete = case.family.log_density(batch, case.params)[states, np.arange(len(states))]
    _close(whole, complete, 1e-11 * (1 + np.abs(complete)), f"{case.name}: declaring none missing changes the density")
    nothing = own(first & ~first)
    _close(nothing, 0 * nothing, np.full_like(nothing, 1e-12), f"{case.name}: a row with nothing observed has density 1")
    ratio = np.exp(own(first) + own(~first) - whole)
    _mean_is(ratio[:, None], 1.0, f"{case.name}: the mean of p(x₁) p(x₂…) / p(x) is one")


# -- latents ---------------------------------------------------------------------------------------


def check_latent(latent: Latent[Any, Any], params: Any, *, seed: int = 0) -> None:
    """The laws of a `Latent`: posteriors by enumeration, statistics, M-step, prior, samples.

    Raises
    ------
    AssertionError
    """
    name, k = type(latent).__name__, latent.n_states
    check_parameters(params)
    rng = np.random.default_rng(seed)
    log_density = rng.normal(size=(k, 6))
    batch = Batch(np.zeros((6, 1)), offsets=np.array([0, 2, 6]))
    posterior, log_likelihood = latent.posterior(log_density.copy(), batch, params)
    expected = [_enumerated(latent, params, log_density[:, a:b]) for a, b in ((0, 2), (2, 6))]
    _close(posterior.probabilities, np.hstack([e[0] for e in expected]), 1e-12, f"{name}: posterior by enumeration")
    total = sum(e[1] for e in expected)
    _close(log_likelihood.sum(), total, 1e-12 * (1 + abs(total)), f"{name}: log-likelihood by enumeration")
    statistics = latent.statistics(posterior, batch)
    _laws_of_latent_m_step(latent, params, statistics, name)
    _law_states_have_the_score(latent, params, name)
    sample = latent.sample(params, np.array([3, 1, 5]), rng)
    _require(sample.shape == (9,) and sample.min() >= 0 and sample.max() < k, f"{name}: sample gives states of all rows")
    start = latent.start().check()
    _require(start.n_free == params.n_free, f"{name}: start has {start.n_free} free parameters, not {params.n_free}")


def _laws_of_latent_m_step(latent: Latent[Any, Any], params: Any, statistics: Any, name: str) -> None:
    updated = latent.maximize(statistics, params).check()
    q = [latent.expected_log_density(statistics, p) for p in (params, updated)]
    _require(q[1] >= q[0] - 1e-12, f"{name}: Q falls at an M-step, from {q[0]!r} to {q[1]!r}")
    score = latent.score(statistics, updated)
    _close(score, 0 * score, 1e-8, f"{name}: the score of Q vanishes at an M-step")
    with_prior = statistics + latent.pseudo_statistics(2.0)
    q = [latent.expected_log_density(with_prior, p) for p in (updated, latent.maximize(with_prior, updated))]
    _require(q[1] >= q[0] - 1e-12, f"{name}: Q with the prior falls at an M-step, from {q[0]!r} to {q[1]!r}")
    nothing = latent.maximize(statistics * 0.0, params)
    for label, value in nothing.arrays().items():
        _close(value, params.arrays()[label], 1e-15, f"{name}: without data {label} stays as it was")


def _law_states_have_the_score(latent: Latent[Any, Any], params: Any, name: str) -> None:
    rng, scores = np.random.default_rng(5), []
    lengths = np.full(60, GROUP_LENGTH)
    batch = Batch(np.zeros((lengths.sum(), 1)), offsets=np.concatenate([[0], np.cumsum(lengths)]))
    for _ in range(40):
        certain = _certain(latent.sample(params, lengths, rng), latent.n_states)
        posterior, _ = latent.posterior(certain, batch, params)
        scores.append(latent.score(latent.statistics(posterior, batch), params))
    _mean_is(np.array(scores), 0.0, f"{name}: the mean score of its own samples is zero")


def _enumerated(latent: Latent[Any, Any], params: Any, log_density: FloatArray) -> tuple[FloatArray, float]:
    """Posterior and log-likelihood of one group by enumeration of all paths."""
    k, n = log_density.shape
    paths = [np.array(path) for path in product(range(k), repeat=n)]
    logs = np.array([log_path(latent, params, path)[1] + log_density[path, np.arange(n)].sum() for path in paths])
    total = float(np.logaddexp.reduce(logs))
    probabilities = sum(np.exp(log - total) * _one_hot(path, k) for log, path in zip(logs, paths, strict=True))
    return np.asarray(probabilities), total


def log_path(
    latent: Latent[Any, Any], params: Any, path: Array, batch: Batch | None = None
) -> tuple[Posterior, float]:
    """The posterior that is certain of a path of one group, and log p(path; θ)."""
    batch = Batch(np.zeros((len(path), 1))) if batch is None else batch
    with np.errstate(invalid="ignore"):
        posterior, log_likelihood = latent.posterior(_certain(path, latent.n_states), batch, params)
    return posterior, float(np.sum(log_likelihood))


# -- models ----------------------------------------------------------------------------------------


def check_model(model: LatentVariableModel, params: ModelParameters, batch: Batch) -> None:
    """A model's E-step against the enumeration of every path of the latent, on a few rows; and Fisher's identity.

    Marginal log-likelihood, posterior probabilities and expected statistics equal those of the complete data averaged
    over all paths; the score equals the gradient of the log-likelihood; an EM step does not lower the objective.

    Parameters
    ----------
    model : LatentVariableModel
    params : ModelParameters
    batch : Batch
        At most some six rows in all, with `offsets`; weights and labels are taken into account.

    Raises
    ------
    AssertionError
    """
    name = f"{type(model.latent).__name__} x {type(model.family).__name__}"
    expectation = model.e_step(params, fresh(batch))
    posterior, _ = model.infer(params, fresh(batch))
    groups = [_enumerated_group(model, params, take(batch, g, g + 1, True)) for g in range(batch.n_groups)]
    weights = batch.unit_weights(True)
    log_likelihood = float(sum(w * group[0] for w, group in zip(weights, groups, strict=True)))
    bound = 1e-11 * (1 + expectation.magnitude)
    _close(expectation.log_likelihood, log_likelihood, bound, f"{name}: log-likelihood by enumeration")
    _close(posterior.probabilities, np.hstack([g[1] for g in groups]), 1e-9, f"{name}: posterior by enumeration")
    expected, magnitudes = _added([group[2] for group in groups]), [group[3] for group in groups]
    total = [np.sum(parts, axis=0) for parts in zip(*magnitudes, strict=True)]
    _same(expectation.statistics, expected, total, 1e-9, f"{name}: expected statistics by enumeration")
    _law_model_fisher(model, params, batch, expectation, name)
    _law_em_step_rises(model, params, batch, expectation, name)


def _enumerated_group(
    model: LatentVariableModel, params: ModelParameters, batch: Batch
) -> tuple[float, FloatArray, Any, list[FloatArray]]:
    """Log-likelihood, posterior, weighted expected statistics and their magnitudes, over all paths of one group."""
    log_density = model.family.log_density(batch.without_labels(), params.emission)
    k, n = log_density.shape
    known = np.full(n, -1) if batch.labels is None else batch.labels[:n]
    weights = None if batch.weights is None else batch.unit_weights(model.family.per_group)
    logs, posteriors, statistics = [], [], []
    for path in map(np.array, product(range(k), repeat=n)):
        posterior, log = log_path(model.latent, params.latent, path, batch)
        if np.any((known >= 0) & (path != known)) or log == -np.inf:
            continue
        complete = replace(posterior, weights=weights)
        logs.append(log + log_density[path, np.arange(n)].sum())
        posteriors.append(_one_hot(path, k))
        latent = model.latent.statistics(complete, batch)
        emission = model.family.statistics(batch.without_labels(), complete, params.emission)
        statistics.append(ModelStatistics(latent, emission))
    total = float(np.logaddexp.reduce(logs))
    shares = np.exp(np.array(logs) - total)
    parts = [s * float(share) for s, share in zip(statistics, shares, strict=True)]
    return total, np.tensordot(shares, np.array(posteriors), 1), _added(parts), _magnitudes(parts)


def _law_model_fisher(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    def log_likelihood(vector: FloatArray) -> float:
        return model.e_step(params.unflatten(vector), fresh(batch)).log_likelihood

    numeric = gradient(log_likelihood, params.flatten())
    score = model.score(expectation.statistics, params)
    bound = 1e-6 * (1 + expectation.magnitude)
    _close(score, numeric, bound, f"{name}: the score of Q is the gradient of the log-likelihood (Fisher's identity)")


def _law_em_step_rises(
    model: LatentVariableModel, params: ModelParameters, batch: Batch, expectation: Expectation, name: str
) -> None:
    if _is_local(expectation.statistics):
        return
    updated = model.m_step(expectation.statistics, params)
    after = model.e_step(updated, fresh(batch)).log_likelihood + model.log_prior(updated)
    before = expectation.log_likelihood + model.log_prior(params)
    slack = 1e-11 * (1 + expectation.magnitude)
    _require(after >= before - slack, f"{name}: the objective falls at an EM step, from {before!r} to {after!r}")


# -- accelerations and executors -------------------------------------------------------------------


def overlapping_mixture(n: int = 1200) -> tuple[LatentVariableModel, ArraySource, ModelParameters]:
    """Two normals a standard deviation and a half apart, on which EM is slow; and where to start."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 1)) + 2.2 * (rng.random((n, 1)) < 0.35)
    emission = DiagonalGaussianParameters(np.array([[-0.5], [1.5]]), np.ones((2, 1)))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), emission)
    return LatentVariableModel(Categorical(2), DiagonalGaussian()), ArraySource(x, chunk_rows=400), start


def check_acceleration(acceleration: Acceleration) -> None:
    """An acceleration reaches EM's limit on an overlapping mixture in fewer passes, and its proposals are pure.

    Raises
    ------
    AssertionError
    """
    model, source, start = overlapping_mixture()
    name = type(acceleration).__name__
    plain = _fit(model, source, start, None)
    iterations: list[Iteration] = []
    fast = _fit(model, source, start, acceleration, [iterations.append])
    _require(fast.status.converged, f"{name}: ends with {fast.status}")
    gap = abs(fast.objective - plain.objective)
    _require(gap <= 1e-6, f"{name}: its limit differs from EM's by {gap:g}")
    _require(fast.n_iter < plain.n_iter, f"{name}: takes {fast.n_iter} passes, EM takes {plain.n_iter}")
    _law_objective_is_monotone(iterations, name)
    again: list[Iteration] = []
    _fit(model, source, start, acceleration, [again.append])
    same = [a.objective == b.objective for a, b in zip(iterations, again, strict=True)]
    _require(all(same), f"{name}: a second fit takes another path; proposals must depend on trial and state alone")


def _law_objective_is_monotone(iterations: list[Iteration], name: str) -> None:
    for before, after in zip(iterations[:-1], iterations[1:], strict=True):
        falls = before.objective - after.objective
        _require(falls <= before.rounding, f"{name}: the objective falls by {falls:g} at iteration {after.index}")


def _fit(
    model: LatentVariableModel,
    source: ArraySource,
    start: ModelParameters,
    acceleration: Acceleration | None,
    callbacks: Sequence[Callable[[Iteration], object]] = (),
) -> EMResult:
    options = {"executor": Serial(), "tol": 1e-7, "max_iter": 5000, "callbacks": callbacks}
    result = run(model, source, start, acceleration=acceleration, **options)
    _require(result.status is not Status.MAX_ITER, f"{acceleration}: no convergence in {result.n_iter} passes")
    return result


@dataclass(frozen=True)
class _Moments(Statistics):
    first: FloatArray
    second: FloatArray


def _moments(batch: Batch) -> _Moments:
    return _Moments(batch.values.sum(axis=0), batch.values.T @ batch.values)


def _fails_at_the_third_chunk(batch: Batch) -> _Moments:
    if batch.first_row >= 10:
        raise DataError(f"row {batch.first_row} is bad")
    return _moments(batch)


def check_executor(executor: Executor) -> None:
    """An executor adds the same bits as `Serial`, for any number of chunks, and passes errors on.

    Raises
    ------
    AssertionError
    """
    name, rng = type(executor).__name__, np.random.default_rng(7)
    for n_chunks in (1, 2, 3, 17, 33):
        source = ArraySource(rng.normal(size=(5 * n_chunks - 2, 3)), chunk_rows=5)
        expected, got = Serial().fold(_moments, source), executor.fold(_moments, source)
        same = all(np.array_equal(a, b) for a, b in zip(arrays_of(expected), arrays_of(got), strict=True))
        _require(same, f"{name}: the sum over {n_chunks} chunks differs from Serial's bits")
    try:
        executor.fold(_fails_at_the_third_chunk, source)
    except DataError as error:
        _require(str(error) == "row 10 is bad", f"{name}: the first error in chunk order must come out, got: {error}")
    else:
        raise AssertionError(f"{name}: an error in a chunk must come out")
    _require(np.array_equal(executor.fold(_moments, source).second, expected.second), f"{name}: unusable after an error")


# -- small parts -----------------------------------------------------------------------------------


def fresh(batch: Batch) -> Batch:
    """The batch without memory of what it was asked."""
    return replace(batch, memo={})


def _frozen(values: FloatArray) -> FloatArray:
    values = np.array(values, dtype=float)
    values.flags.writeable = False
    return values


def _part(case: _Case, start: int, stop: int) -> Any:
    batch = take(case.batch, start, stop, case.family.per_group)
    return case.family.statistics(batch, Posterior(case.r[:, start:stop]), case.params)


def _concatenated(parts: list[Batch], per_group: bool) -> Batch:
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]) if per_group else None
    return Batch(np.concatenate([part.values for part in parts]), offsets=offsets, missing=parts[0].missing)


def _added(parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _magnitudes(parts: Any) -> list[FloatArray]:
    """Σ |s| of each array, over parts."""
    return [np.sum(np.abs(arrays), axis=0) for arrays in zip(*map(arrays_of, parts), strict=True)]


def _is_local(statistics: Any) -> bool:
    if isinstance(statistics, tuple):
        return any(map(_is_local, statistics))
    inner: Iterator[Any] = (getattr(statistics, f.name) for f in fields(statistics)) if is_dataclass(statistics) else iter(())
    return isinstance(statistics, LocalQ) or any(map(_is_local, inner))


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


def _one_hot(states: Array, k: int) -> FloatArray:
    return (np.arange(k)[:, None] == np.asarray(states)).astype(float)


def _certain(states: Array, k: int) -> FloatArray:
    """Log densities that leave one state possible in each column."""
    return np.where(_one_hot(states, k) > 0, 0.0, -np.inf)


def _same(got: Any, expected: Any, magnitudes: list[FloatArray], share: float, law: str) -> None:
    for a, b, bound in zip(arrays_of(got), arrays_of(expected), magnitudes, strict=True):
        _close(a, b, share * bound + 1e-300, law)


def _close(got: Any, expected: Any, bound: Any, law: str) -> None:
    got, expected = np.asarray(got), np.asarray(expected)
    _require(got.shape == expected.shape, f"{law}: shapes {got.shape} and {expected.shape}")
    error = np.where(got == expected, 0.0, np.abs(got - expected))
    bound = np.broadcast_to(bound, error.shape)
    if not np.all(error <= bound):
        worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error - bound)), error.shape)
        place = f"at {tuple(map(int, worst))} " if error.shape else ""
        raise AssertionError(
            f"{law}: {place}{got[worst]!r} is not {expected[worst]!r} (off by {error[worst]:.3g}, allowed {bound[worst]:.3g})"
        )


def _mean_is(samples: FloatArray, value: float, law: str) -> None:
    """Within `SIGMAS` standard errors, where the standard error is more than rounding."""
    mean = samples.mean(axis=0)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    bound = SIGMAS * error + 1e-9 * (1 + np.abs(samples).max(axis=0))
    _close(mean, np.full_like(mean, value), bound, law)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
