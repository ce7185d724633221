"""Whether what should be a distribution of z is one: probabilities that add to one, at any θ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from ...._typing import FloatArray
from ....data import Batch
from ....errors import ParameterError
from ..compiled import Compiled
from ..parameters import DeclaredParameters
from .indices import is_first, rows_for
from .mistakes import densities_of
from .tracing import inputs_at
from .wording import named

if TYPE_CHECKING:
    from ..model import DeclaredModel

# Sums of probabilities may differ from one by this.
NORMALIZED = 1e-6
# Rows whose own densities of z are added up.
MOST_ROWS = 8


def leave_out_unasked(values: FloatArray, functions: Compiled, batch: Batch) -> None:
    """Zeros where no density is asked for: in rows of weight 0, and in transitions to first rows."""
    if batch.weights is not None:
        values[:, batch.weights == 0] = 0.0
    if functions.declaration.is_chain and functions.declaration.sees_row("log_transition"):
        values[functions.space.n_states :, is_first(batch)] = -np.log(functions.space.n_states)


def check_transitions(functions: Compiled, batch: Batch, table: FloatArray, when: str = "at the start") -> None:
    """Rows of transition matrices (previous, z, rows) must add to one."""
    counts = np.ones(len(batch), bool) if batch.weights is None else batch.weights > 0
    totals = logsumexp(table, axis=1)
    wrong = (np.abs(np.expm1(totals)) > NORMALIZED) & counts
    if wrong.any():
        row = int(np.argmax(wrong.any(axis=0)))
        j = int(np.argmax(wrong[:, row]))
        place = f" in row {batch.row_of_unit(row, False)}" if functions.declaration.sees_row("log_transition") else ""
        raise ParameterError(
            _no_distribution(functions, "log_transition", totals[j, row], f"previous = {j}{place}", when)
        )


def check_even_transitions(model: DeclaredModel, functions: Compiled, params: DeclaredParameters, batch: Batch) -> None:
    """Rows of transition matrices at another θ."""
    if not functions.declaration.is_chain:
        return
    k, x = functions.space.n_states, model.rows(batch)
    with np.errstate(all="ignore"):
        values = functions.values(params.values, x, np.empty((len(x), 0)))
    leave_out_unasked(values, functions, batch)
    if np.isfinite(values[k:]).any() and not np.isnan(values[k:]).any():
        check_transitions(functions, batch, values[k:].reshape(k, k, -1), "away from the start")


def check_distributions(
    functions: Compiled, params: DeclaredParameters, batch: Batch, when: str = "at the start"
) -> None:
    """log_latent and log_initial must be log probabilities that add to one over the states of z."""
    for density in densities_of(functions):
        if density.role not in ("log_latent", "log_initial") or functions.space.dimension:
            continue
        sees = functions.declaration.sees_row(density.role)
        rows = rows_for(functions, density.role, batch)[: MOST_ROWS if sees else 1]
        k = functions.space.n_states
        row, state = (part.ravel() for part in np.meshgrid(rows, np.arange(k), indexing="ij"))
        inputs = inputs_at(
            functions, density.keys, batch.values[row], state, state, np.zeros((len(row), 0)), params.values
        )
        totals = logsumexp(density.values(inputs).reshape(-1, k), axis=1)
        wrong = np.flatnonzero(~(np.abs(np.expm1(totals)) <= NORMALIZED))
        if len(wrong):
            place = f"row {batch.row_of_unit(int(rows[wrong[0]]), False)}" if sees else ""
            raise ParameterError(_no_distribution(functions, density.role, totals[wrong[0]], place, when))


def _no_distribution(functions: Compiled, role: str, total: float, place: str, when: str) -> str:
    at = f" at {place}" if place else ""
    return (
        f"{named(functions, role)} must be the log of probabilities that add to one over z, but {when} they add "
        f"to {np.exp(total):.6g}{at}: take them from an em.Simplex, e.g. jnp.log(theta.weights[z]), or from "
        "jax.nn.log_softmax(scores)[z]"
    )
