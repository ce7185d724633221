"""A response against the first covariate, with the line of each component."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._typing import FloatArray
from ...data import Batch
from ...predictors import Predictors
from .packing import packed, packed_shares, rounded, significant
from .subject import MOST_COLUMNS, Shown

GRID = 40
# From so many components, counted at every step, one response is drawn.
MANY = 300


def regression(shown: Shown) -> dict[str, Any] | None:
    """Rows and fitted means as functions of the first covariate, the others held at their means."""
    given = shown.batch.covariates
    chosen = getattr(shown.family, "columns", None)
    if given is None or chosen == ():
        return None
    first = 0 if chosen is None else int(chosen[0])
    grid = np.linspace(given[:, first].min(), given[:, first].max(), GRID)
    rest = "" if given.shape[1] == 1 else " The other covariates are held at their means."
    few = shown.n_states * shown.subject.n_steps > MANY
    columns = range(min(shown.batch.n_columns, 1 if few else MOST_COLUMNS))
    lines = _lines(shown, first, grid)
    return {
        "kind": "regression",
        "title": f"{shown.names[0]} against covariate {first}, with the {shown.what}s",
        "description": f"Lines are the fitted means of the {shown.what}s.{rest} {shown.told_of_markers} {shown.told}",
        "what": shown.what,
        "x": f"covariate {first}",
        "columns": [shown.names[j] for j in columns],
        "sizes": shown.sizes,
        "given": rounded(given[:, first]),
        "points": [rounded(shown.batch.values[:, j]) for j in columns],
        "grid": rounded(grid),
        "lines": [packed(lines[:, :, :, j]) for j in columns],
        "deviations": _deviations(shown),
        "responsibilities": packed_shares(shown.responsibilities),
        "weights": significant(shown.weights, 3),
    }


def _lines(shown: Shown, first: int, grid: FloatArray) -> FloatArray:
    """(S, K, points, M): fitted means."""
    assert shown.batch.covariates is not None
    covariates = np.tile(shown.batch.covariates.mean(axis=0), (len(grid), 1))
    covariates[:, first] = grid
    family = shown.family
    predictors = Predictors(type(family).__name__, family.columns, family.intercept)
    c = predictors(Batch(np.zeros((len(grid), shown.batch.n_columns)), covariates=covariates))
    eta = np.stack([np.einsum("np,kmp->knm", c, params.coefficients) for params in shown.emissions])
    return np.asarray(family.moments(eta)[0] if hasattr(family, "moments") else eta)


def _deviations(shown: Shown) -> Any:
    """(S, K, M) standard deviations about the lines where they are the same everywhere, else None."""
    names = [name for name in ("variances", "covariances") if hasattr(shown.emissions[0], name)]
    if not names:
        return None
    spread = np.stack([getattr(params, names[0]) for params in shown.emissions])
    variances = np.diagonal(spread, axis1=-2, axis2=-1) if spread.ndim == 4 else spread
    return significant(np.sqrt(variances))
