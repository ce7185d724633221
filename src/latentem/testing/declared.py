"""The laws of a declared model: those of every model, for one that is known by its densities alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Array, FloatArray
from ..em import Executor, run
from ..errors import LatentemError
from ..execution import Serial, Threads
from ..kernels.derivatives import gradient
from ..statistics import Expectation, arrays_of
from .comparing import added, close, magnitudes_of, require, same
from .drawing import fresh
from .parameters import check_parameters
from .prepared import Prepared, in_chunks, prepared

if TYPE_CHECKING:
    from ..models.declared import DeclaredModel

# Units that are looked at one by one, EM steps from every start, and how many starts of each kind.
FEW, STEPS, STARTS = 12, 6, 2
# Directions in which derivatives are taken.
DIRECTIONS = 8
# How far starts are from θ on the unconstrained scale.
NEAR, FAR = 1.0, 10.0
# A start where the data are impossible is brought nearer, by halves.
HALVINGS = 8


def check_declared(
    model: DeclaredModel,
    data: Any,
    parameters: Any,
    *,
    executors: Sequence[Executor] = (Threads(2),),
    seed: int = 0,
) -> None:
    """The laws of a declared model whose likelihood is bounded.

    Statistics and log-likelihoods of units add, in any order; a weight of 2 is the unit twice; the score is the
    gradient of the objective (Fisher's identity), with sufficient statistics and without; an M-step does not lower Q,
    and its score vanishes there; the objective does not fall from any start, be it far out; posterior probabilities
    add to one, and those of a state follow from imposing it; sufficient statistics tell Q everywhere; parameters
    survive flattening, and models survive files; executors give the same bits.

    Parameters
    ----------
    model : DeclaredModel
        As it was declared.
    data : data as for `fit`, or Source
        Some dozens of rows with several groups, if there are any.
    parameters : DeclaredParameters or mapping
        θ: inside the domains, not at a maximum.
    executors : sequence of Executor
        They must add the bits that `Serial` adds.
    seed : int
        Of the divisions, permutations and starts.

    Raises
    ------
    AssertionError
        A law is broken; the message says which, and by how much.
    """
    case = prepared(model, data, parameters, seed)
    check_parameters(case.params)
    _law_units_add(case)
    _law_weight_is_repetition(case)
    _law_memory_changes_nothing(case)
    _law_posterior_adds_to_one(case)
    _law_states_share_the_likelihood(case)
    _law_fisher(case)
    _law_pivots_tell_q(case)
    _law_m_step(case)
    _law_objective_rises(case)
    _law_executors_agree(case, executors)
    _law_files_keep_the_bits(case)


# -- units -------------------------------------------------------------------------------------


def _alike(got: Expectation, expected: Expectation, parts: list[Expectation], law: str) -> None:
    bound = 1e-12 * expected.magnitude + expected.noise
    close(got.log_likelihood, expected.log_likelihood, bound, f"{law}: log-likelihood")
    close(got.weight, expected.weight, 1e-12 * expected.weight, f"{law}: weight")
    magnitudes = magnitudes_of([part.statistics for part in parts])
    same(got.statistics, expected.statistics, magnitudes, 1e-9, f"{law}: statistics")


def _law_units_add(case: Prepared) -> None:
    rng, n = case.rng(), case.n_units
    order = rng.permutation(n)
    cuts = np.sort(rng.integers(0, n + 1, 2))
    divisions: dict[str, list[Array]] = {
        "E(A ∪ B) = E(A) + E(B)": np.array_split(np.arange(n), 2),
        "three chunks of units in another order add up": np.split(order, cuts),
        "units in another order change nothing": [order],
        "units one by one add up": list(np.arange(min(n, FEW))[:, None]),
    }
    for law, division in divisions.items():
        parts = [case.e_step(units) for units in division if len(units)]
        whole = case.e_step(np.sort(np.concatenate(division)))
        _alike(added(parts), whole, parts, f"{case.name}: {law}")


def _law_weight_is_repetition(case: Prepared) -> None:
    n, per_group = case.n_units, case.model.per_group
    twice = np.sort(case.rng().permutation(n)[: max(1, n // 3)])
    repeated = case.e_step(np.sort(np.concatenate([np.arange(n), twice])))
    weights = case.batch.unit_weights(per_group) * np.where(np.isin(np.arange(n), twice), 2.0, 1.0)
    weighted = case.model.e_step(case.params, fresh(case.batch.reweighted(weights, per_group)))
    # Their simulation error is that of one unit, twice.
    together, alone = (
        replace(one, statistics=replace(one.statistics, variance=np.zeros(()))) for one in (weighted, repeated)
    )
    _alike(together, alone, [alone], f"{case.name}: a weight of 2 is the unit twice")


def _law_memory_changes_nothing(case: Prepared) -> None:
    batch, moved = fresh(case.batch), case.vector + 0.5 * case.rng().normal(size=case.vector.shape)
    case.model.e_step(case.params.unflatten(moved), batch)
    got, expected = case.model.e_step(case.params, batch), case.model.e_step(case.params, fresh(batch))
    _same_bits(got, expected, f"{case.name}: a batch that was asked before at another θ gives the same bits")


# -- the posterior -----------------------------------------------------------------------------


def _law_posterior_adds_to_one(case: Prepared) -> None:
    points, k = case.points(case.params), case.model.declaration.space.n_states
    require(bool(np.all(points.weights >= 0)), f"{case.name}: posterior weights are not negative")
    by_row = np.bincount(points.rows, points.weights[:k].sum(axis=0), len(case.batch))
    close(by_row, np.ones_like(by_row), 1e-11, f"{case.name}: posterior probabilities of a row add to one")
    if case.model.declaration.is_chain:
        by_row = np.bincount(points.rows, points.weights[k:].sum(axis=0), len(case.batch))
        pairs = np.add.reduceat(by_row, case.batch.group_offsets[:-1])
        law = f"{case.name}: posterior probabilities of the pairs of a sequence add to the number of its steps"
        close(pairs, case.batch.group_lengths - 1.0, 1e-11 * case.batch.group_lengths, law)


def _law_states_share_the_likelihood(case: Prepared) -> None:
    """p(x) = Σₖ p(x, z = k), the terms found by making k known; and p(z = k | x) is the share of its term."""
    k, n = case.model.declaration.space.n_states, len(case.batch)
    first = case.batch.group_offsets[:-1] if case.model.per_group else np.arange(n)
    which = known = first
    if case.model.declaration.is_chain:
        which = known = first + case.rng().integers(0, case.batch.group_lengths)
    elif case.model.per_group:
        known = np.arange(n)
    logs = []
    for state in range(k):
        labels = np.full(n, -1)
        labels[known] = state
        logs.append(case.points(case.params, replace(case.batch, labels=labels)).log_likelihood)
    points = case.points(case.params)
    total = np.logaddexp.reduce(logs)
    bound = 1e-11 * (16 + np.abs(total)) + points.noise
    close(points.log_likelihood, total, bound, f"{case.name}: log Σ p(x, z = k) is the log-likelihood")
    shares = np.array([np.bincount(points.rows, weights, n)[which] for weights in points.weights[:k]])
    expected = np.exp(np.array(logs) - total)
    close(shares, expected, 1e-9, f"{case.name}: p(z = k | x) is the share of p(x, z = k)")


# -- the two steps -----------------------------------------------------------------------------


def _law_fisher(case: Prepared) -> None:
    """Along a few directions, which together are as many as θ has coordinates, or enough to meet all of them."""
    d = len(case.vector)
    along = np.linalg.qr(case.rng().normal(size=(d, min(d, DIRECTIONS))))[0]

    def moved(t: FloatArray) -> float:
        return case.objective(case.params.unflatten(case.vector + along @ t))

    numeric = gradient(moved, np.zeros(along.shape[1]))
    for kind, model in case.kinds():
        expectation = model.e_step(case.params, fresh(case.batch))
        if expectation.statistics.variance > 0:  # the modes of the draws move with θ: only up to simulation error
            return
        score = model.objective_score(expectation.statistics, case.params) @ along
        bound = 1e-8 * (expectation.magnitude + np.abs(numeric).max())
        close(score, numeric, bound, f"{case.name}: the score {kind} is the gradient of the objective")


def _law_m_step(case: Prepared) -> None:
    for kind, model in case.kinds():
        at = replace(case, model=model)
        statistics = at.whole().statistics
        updated = at.m_step(statistics, f"an M-step {kind}").check()
        if kind == "on pivots":
            score = model.objective_score(statistics, updated)
            bound = 1e-7 * float(statistics.magnitude)
            close(score, 0 * score, bound, f"{case.name}: the score of Q vanishes at an M-step")


def _law_pivots_tell_q(case: Prepared) -> None:
    """Q from the statistics is Q over the data, at θ and away from it."""
    rng = case.rng()
    (kind, model), *_ = case.kinds()
    if kind != "on pivots":
        return
    points, statistics = case.points(case.params), case.whole().statistics
    for times in (0.0, 0.3, NEAR, 3 * NEAR):
        params = case.params.unflatten(case.vector + times * rng.normal(size=case.vector.shape))
        expected, size = case.q(points, params)
        got = model.q_function(params, statistics)
        close(got, expected, 1e-8 * size, f"{case.name}: Q on the pivots is Q over the data, {times:g} away from θ")


def _law_objective_rises(case: Prepared) -> None:
    rng = case.rng()
    _climb(case, "from θ")
    for spread in (NEAR, FAR):
        for number in range(STARTS):
            away = spread * rng.normal(size=case.vector.shape)
            start = next(filter(_is_possible, (_moved(case, 0.5**halving * away) for halving in range(HALVINGS))), None)
            if start is not None:
                _climb(start, f"from start {number} of those at a distance of {spread:g}")


def _moved(case: Prepared, away: FloatArray) -> Prepared:
    return replace(case, params=case.params.unflatten(case.vector + away))


def _is_possible(case: Prepared) -> bool:
    """Whether a fit may start there."""
    try:
        case.params.check()
        return bool(np.isfinite(case.whole().log_likelihood + case.model.log_prior(case.params)))
    except LatentemError:
        return False


def _climb(case: Prepared, where: str) -> None:
    """Plain EM steps, none of them damped."""
    before, prior = case.whole(), case.model.log_prior(case.params)
    for step in range(STEPS):
        case = replace(case, params=case.m_step(before.statistics, f"M-step {step} {where}"))
        after, prior_after = case.whole(), case.model.log_prior(case.params)
        fall = before.log_likelihood + prior - after.log_likelihood - prior_after
        slack = before.rounding + after.rounding + 1e-14 * abs(prior)
        told = f"{case.name}: the objective falls by {fall:.3g} at EM step {step} {where}, allowed {slack:.3g}"
        require(fall <= slack, told)
        before, prior = after, prior_after


# -- around them -------------------------------------------------------------------------------


def _same_bits(got: Expectation, expected: Expectation, law: str) -> None:
    for a, b in zip(arrays_of(got), arrays_of(expected), strict=True):
        require(a.tobytes() == b.tobytes(), f"{law}: {a} is not {b}")


def _law_executors_agree(case: Prepared, executors: Sequence[Executor]) -> None:
    source = in_chunks(case)
    for _, model in case.kinds():
        step = partial(model.e_step, case.params)
        expected = Serial().fold(step, source)
        updated = model.m_step(expected.statistics, case.params, partial(Serial().fold, source=source))
        for executor in executors:
            law = f"{case.name}: {type(executor).__name__} gives the bits of Serial"
            _same_bits(executor.fold(step, source), expected, law)
            other = model.m_step(expected.statistics, case.params, partial(executor.fold, source=source))
            require(other.flatten().tobytes() == updated.flatten().tobytes(), f"{law} in an M-step")


def _law_files_keep_the_bits(case: Prepared) -> None:
    from ..io import load, save

    result = run(case.model, in_chunks(case), case.params, executor=Serial(), max_iter=1)
    with TemporaryDirectory() as folder:
        save(result, Path(folder) / "model")
        loaded = load(Path(folder) / "model", model=case.model)
    law = f"{case.name}: a model from a file gives the same bits"
    require(loaded.parameters.flatten().tobytes() == result.parameters.flatten().tobytes(), f"{law}: parameters")
    got, expected = (one.model.e_step(one.parameters, fresh(case.batch)) for one in (loaded, result))
    _same_bits(got, expected, law)
