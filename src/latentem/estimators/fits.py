"""From one or several starts to one result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..data import Source
from ..em import Executor, RemainingGain, iterate, run
from ..errors import DataError, ParameterError
from ..execution.opening import opened
from ..families.components import Components
from ..fitting import as_acceleration, best_of, name_places, resumed
from ..io.checkpoints import Checkpoint
from ..model import LatentVariableModel, ModelParameters
from ..result import EMResult, Iteration, Status
from .certified import at_a_maximum, finished
from .components import match_labels
from .inputs import Survey
from .starting import rough_parameters, start_parameters
from .starting_values import put_in
from .watching import Progress, Tasks, Watcher


@dataclass(frozen=True)
class Plan:
    """How to fit.

    Attributes
    ----------
    start : ModelParameters or None
        Where to start; None asks `init`.
    weights, values : array or None, dict
        The user's starting values of weights and of arrays of the components, in place of what `init` finds.
    gains : tuple or None
        The last objective of a fit that this one goes on from, and the gains of its last plain steps.
    scale_free : bool
        Whether k-means standardizes columns.
    rule : RemainingGain
    """

    n_init: int
    init: Any
    start: ModelParameters | None
    weights: Any
    values: dict[str, Any]
    gains: tuple[Any, ...] | None
    scale_free: bool
    rule: RemainingGain
    max_iter: int
    acceleration: Any
    executor: Any
    restart_collapsed: int
    certify: bool
    verbose: int
    verbose_interval: int
    random_state: Any
    survey: Survey
    checkpoint: Checkpoint | None


@dataclass
class Fits:
    """The starts of one fit: the model, the data (all rows; the distinct rows), and how to go about it."""

    model: LatentVariableModel
    rows: Source
    distinct: Source
    plan: Plan
    executor: Executor
    tasks: Tasks
    attributes: Callable[[Any], dict[str, Any]]
    stopped: bool = False

    def one(self, number: int) -> tuple[EMResult, tuple[Any, ...]]:
        """The result of one start, and what a warm start needs of it."""
        progress = Progress(self.plan.verbose, self.plan.verbose_interval, self.plan.survey.weight)
        progress.begin(number)
        return self._climb(self.start(), progress)

    def certified(self, result: EMResult) -> EMResult:
        """The result with its certificate, at a maximum wherever that can be reached."""
        return at_a_maximum(result, self._further, self.plan.rule.tol, self.executor)

    def _further(self, _: Any, start: ModelParameters, tol: float) -> EMResult:
        """On from where a fit ended, with another tolerance."""
        plan = replace(self.plan, rule=RemainingGain(tol), gains=None, checkpoint=None)
        progress = Progress(plan.verbose, plan.verbose_interval, plan.survey.weight)
        return replace(self, plan=plan)._climb(start, progress)[0]

    def _climb(self, start: ModelParameters, progress: Progress) -> tuple[EMResult, tuple[Any, ...]]:
        plan = self.plan
        watcher = Watcher(self.tasks, plan.rule, plan.max_iter, self.attributes, self.tasks.start(plan.max_iter))
        keeper = () if plan.checkpoint is None else (plan.checkpoint,)
        result = self._run(start, (watcher, progress, *keeper))
        self.stopped = watcher.finish(result.parameters) or result.status is Status.INTERRUPTED
        progress.end(result)
        gains = () if watcher.last is None else watcher.last.gains
        return result, (result.objective, gains)

    def start(self) -> ModelParameters:
        """Where one of the starts begins."""
        plan = self.plan
        if plan.start is not None:
            return plan.start
        if plan.weights is not None:
            rough = rough_parameters(self.model, self.distinct)
            if set(plan.values) >= set(rough.emission.arrays()):
                return self._with_values(rough)
        source = self.distinct if isinstance(plan.init, str) else self.rows
        start = start_parameters(self.model, source, plan.init, plan.random_state, plan.scale_free, self.executor)
        if plan.survey.labelled and not isinstance(self.model.family, Components):
            start = match_labels(self.model, start, source)
        return self._with_values(start)

    def _with_values(self, start: ModelParameters) -> ModelParameters:
        """The start with the user's values in it, which must be such that EM cannot but ascend from them."""
        params = put_in(start, self.plan.weights, self.plan.values)
        if self.plan.values and not self.model.admissible(params):
            raise ParameterError(
                f"the starting values of {', '.join(sorted(self.plan.values))} lie outside what the family allows (a "
                "variance below its floor, a shape beyond its range); start within, or change the family's options"
            )
        return params

    def _run(self, start: ModelParameters, watchers: tuple[Any, ...]) -> EMResult:
        plan = self.plan
        options: dict[str, Any] = {"executor": self.executor, "acceleration": as_acceleration(plan.acceleration)}
        try:
            return run(
                self.model,
                self.distinct,
                start,
                tol=plan.rule.tol,
                max_iter=plan.max_iter,
                callbacks=watchers,
                resume=self._resume(start, options, watchers),
                **options,
            )
        except DataError:
            # Rows were counted among the distinct ones: say it again with the user's row numbers.
            for batch in self.rows:
                self.model.e_step(start, batch)
            raise
        except np.linalg.LinAlgError as error:
            raise DataError(
                "a covariance became singular in double precision: its column scales or its floor differ by more than "
                "1e14; rescale the columns, drop dependent ones, or use reg_covar='auto'"
            ) from error

    def _resume(self, start: ModelParameters, options: dict[str, Any], watchers: tuple[Any, ...]) -> Iteration | None:
        """Where a checkpoint left off; or a warm start with the gains before it, so that it can tell convergence."""
        kept = resumed(self.plan.checkpoint, self.model, self.distinct, start, self.executor)
        if kept is not None:
            for watcher in watchers:
                watcher(kept)
            return kept
        if self.plan.gains is None or self.plan.max_iter == 0:
            return None
        first = next(iterate(self.model, self.distinct, start, **options))
        objective, gains = self.plan.gains
        first = replace(first, gains=gains if first.objective == objective else ())
        for watcher in watchers:
            watcher(first)
        return first


def best_fit(
    estimator: Any, model: LatentVariableModel, rows: Source, distinct: Source, plan: Plan, tasks: Tasks
) -> tuple[EMResult, tuple[Any, ...]]:
    """The start with the highest objective; starts whose components collapsed are tried again on request."""
    tasks.begin(None if plan.restart_collapsed or plan.certify else plan.n_init)
    attributes = partial(estimator._fitted, model)
    with opened(plan.executor) as executor:
        fits = Fits(model, rows, distinct, plan, executor, tasks, attributes)
        ended: list[EMResult] = []

        def one(number: int) -> tuple[EMResult, tuple[Any, ...]]:
            found = fits.one(number)
            ended.append(found[0])
            return found

        best, gains = best_of(one, plan.n_init, plan.restart_collapsed, lambda found: found[0], lambda _: fits.stopped)
        found = finished(best, ended, distinct, fits.certified if plan.certify else None)
        if found.objective != best.objective:
            gains = found.objective, ()
        return name_places(found, rows), gains
