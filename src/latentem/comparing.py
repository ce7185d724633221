"""`compare`: which method would have been best on these data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from .em import Executor
from .errors import ParameterError
from .execution.opening import opened
from .fitting import as_generator, grouping_of
from .inference.comparing import METHODS, Comparison, compare as compare_from
from .model import LatentVariableModel, Model, check_source
from .models.moment_rows import moment_rows
from .models.starts import initial_parameters
from .sources import as_source

if TYPE_CHECKING:
    from .models.declared import DeclaredModel


def compare(
    model: Model,
    data: Any,
    *,
    parameters: Any = None,
    n_starts: int = 3,
    methods: Sequence[str] = METHODS,
    init: Any = "k-means++",
    sample_weight: Any = None,
    labels: Any = None,
    lengths: Any = None,
    groups: Any = None,
    covariates: Any = None,
    tol: float = 1e-6,
    max_iter: int = 2000,
    executor: str | Executor | None = None,
    random_state: Any = None,
) -> Comparison:
    """EM, each acceleration, L-BFGS, Newton and natural gradient from the same starts, on these data.

    The direct methods work on the unconstrained vector, with the exact gradient that an E-step gives by Fisher's
    identity.  Passes are counted alike: an E-step, an objective with its gradient, or one table of the units'
    log-likelihoods is one.

    Parameters
    ----------
    model, data, init, sample_weight, labels, lengths, groups, covariates
        See `fit`.
    parameters : ModelParameters, DeclaredParameters or mapping, optional
        The one start, instead of `n_starts`.
    n_starts : int
    methods : sequence of str
        Of "em", "auto", "squarem", "anderson", "parabolic", "quasi-newton", "subspace-newton", "lbfgs" (accelerations
        of EM), "l-bfgs", "newton", "natural-gradient" (without EM).
    tol : float
        Remaining gain at which EM and its accelerations stop, and expected gain at which the others do.
    max_iter : int
        Passes for each method and start.
    executor, random_state
        See `fit`.

    Returns
    -------
    Comparison

    Raises
    ------
    DataError, ParameterError
        See `fit`; an unknown method; a declared model whose E-step is simulated.
    """
    columns = {"sample_weight": sample_weight, "labels": labels, "lengths": lengths, "groups": groups}
    source = as_source(data, grouping=grouping_of(model), covariates=covariates, **columns)
    check_source(model, source)
    rng = as_generator(random_state)
    if not isinstance(n_starts, int) or n_starts < 1:
        raise ParameterError(f"n_starts must be a whole number of at least 1, got {n_starts!r}")
    with opened(executor) as workers:
        if isinstance(model, LatentVariableModel):
            if model.moments_suffice:
                source = moment_rows(source, workers)
            given = [] if parameters is None else [parameters]
            starts = given or [
                initial_parameters(model, source, init=init, rng=rng, executor=workers) for _ in range(n_starts)
            ]
        else:
            model, starts = _declared(cast("DeclaredModel", model), source, parameters, n_starts, rng, workers)
        return compare_from(model, source, starts, methods=methods, tol=tol, max_iter=max_iter, executor=workers)


def _declared(
    model: DeclaredModel, source: Any, parameters: Any, n_starts: int, rng: Any, workers: Executor
) -> tuple[DeclaredModel, list[Any]]:
    """A declared model as it is fitted, and its starts."""
    from .models.declared import preparing

    if model.declaration.e_step in ("saem", "monte-carlo"):
        raise ParameterError("a simulated E-step has no objective that methods could be compared by")
    if parameters is not None and not isinstance(parameters, Mapping):
        starts = [parameters]
    else:
        n = 1 if parameters is not None else n_starts
        starts = [preparing.start(model, source, parameters or {}, rng, workers) for _ in range(n)]
    return preparing.prepare(model, source, starts[0]), starts
