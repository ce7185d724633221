"""What a user should know of a fitted hidden Markov model: states without data, states alike, too little data."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from .._typing import FloatArray
from ..data import Batch, Source
from ..result import EMResult, Finding
from .findings import examine

# Fewer expected visits than this, and a state's parameters are what its start and the prior say.
EMPTY_STATE = 0.5
ALIKE = 1e-9
COMPARED_ROWS = 500


def examine_sequences(source: Source, result: EMResult, variances: bool) -> list[Finding]:
    """Findings about the data: columns without spread, fewer numbers than parameters, sequences without transitions."""
    n_states = result.model.latent.n_states
    found = examine(source, source.n_rows, n_states, variances)
    seen = sum(int(batch.observed.sum()) for batch in source)
    if seen < result.n_parameters:
        found.append(
            Finding(
                "few-numbers",
                f"there are {seen} numbers for {result.n_parameters} free parameters: the estimates repeat the data, a "
                "degenerate solution; use fewer states, simpler covariances or priors",
            )
        )
    if n_states > 1 and all(np.all(batch.group_lengths == 1) for batch in source):
        found.append(
            Finding(
                "no-transitions",
                "no sequence has two steps: transition probabilities are not in the data and stay where they started",
            )
        )
    return found


def examine_fit(source: Source, result: EMResult) -> list[Finding]:
    """Findings about the states of a fit."""
    return [*_empty_states(result), *_equal_states(source, result)]


def visits(result: EMResult) -> FloatArray:
    """Σ w p(zₜ = k | x), shape (K,): how often each state is expected to have been visited."""
    statistics = result.expectation.statistics.latent
    return np.asarray(statistics.initial + statistics.transitions.sum(axis=0))


def _empty_states(result: EMResult) -> list[Finding]:
    counts = visits(result)
    if len(counts) == 1:
        return []
    return [
        Finding(
            "empty-state",
            f"state {k} is visited {counts[k]:.3g} times in expectation: the data say nothing of its parameters; use "
            "fewer states, other starts (n_init) or priors",
            int(k),
        )
        for k in np.flatnonzero(counts < EMPTY_STATE)
    ]


def _equal_states(source: Source, result: EMResult) -> list[Finding]:
    """States with the same densities and the same transitions: their posteriors are equal, and EM cannot part them."""
    params, model = result.parameters, result.model
    initial, transition = params.latent.initial, params.latent.transition
    pairs = [
        (i, j)
        for i, j in combinations(range(len(transition)), 2)
        if np.allclose(transition[i], transition[j], rtol=0, atol=ALIKE) and abs(initial[i] - initial[j]) <= ALIKE
    ]
    for batch in source if pairs else ():
        densities = model.family.log_density(_telling_rows(batch), params.emission)
        pairs = [(i, j) for i, j in pairs if np.allclose(densities[i], densities[j], rtol=ALIKE, atol=ALIKE)]
    return [
        Finding(
            "equal-states",
            f"states {i} and {j} are alike: EM never parts states that start alike; start them apart (n_init, init, "
            "random_state), or use fewer states",
            int(j),
        )
        for i, j in pairs
    ]


def _telling_rows(batch: Batch) -> Batch:
    """The first rows in which a column is observed, of each column."""
    seen = batch.observed
    rows = np.flatnonzero((seen & (np.cumsum(seen, axis=0) <= COMPARED_ROWS)).any(axis=1))
    return Batch(batch.values[rows], missing=batch.missing, layout=batch.layout)
