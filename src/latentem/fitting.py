"""`fit`: a model, data, and options by name; from one or several starts to one result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields as dataclass_fields, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from ._typing import Array
from .data import Batch, Source
from .em import Acceleration, Executor, iterate, run
from .errors import ModelFileError, ParameterError, name_columns
from .execution.opening import opened
from .inference.ascent import Recorder
from .inference.climbing import joined, to_a_maximum
from .inference.maxima import best_of_starts, was_stopped
from .model import LatentVariableModel, Model, check_source
from .models.moment_rows import moment_rows
from .models.starts import initial_parameters
from .result import EMResult, Finding, Iteration
from .sources import Grouping, as_source
from .variants import EStep, Task

if TYPE_CHECKING:
    from .io.checkpoints import Checkpoint
    from .models.declared import DeclaredModel
    from .models.declared.fits import DeclaredFits

R = TypeVar("R")

ROWS_NAMED = 10
# Codes of findings that tell of a component on its floor, or of a likelihood without bound.
COLLAPSED = ("floor", "unbounded")


def fit(
    model: Model,
    data: Any,
    *,
    parameters: Any = None,
    init: Any = "k-means++",
    n_init: int = 1,
    sample_weight: Any = None,
    labels: Any = None,
    lengths: Any = None,
    groups: Any = None,
    covariates: Any = None,
    acceleration: str | Acceleration | None = None,
    e_step: EStep | None = None,
    executor: str | Executor | None = None,
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state: Any = None,
    callbacks: Iterable[Callable[[Iteration], object]] = (),
    restart_collapsed: int = 0,
    checkpoint: Any = None,
    certify: bool = False,
) -> EMResult:
    """Fit a latent variable model by EM.

    Parameters
    ----------
    model : LatentVariableModel or DeclaredModel
    data : Source, array, mapping or named tuple of arrays, sparse matrix, frame, `io.Table`, or path
        Frames are those of pandas, polars or pyarrow.  Files are read as by `read_table`; make a `ParquetSource` of one
        that is larger than memory.  A declared model takes arrays of any shape (n, …), alone or by name.
    parameters : ModelParameters, DeclaredParameters, or mapping, optional
        Where to start; `init` and `n_init` then say nothing.  A declared model takes values by name, and draws those
        that are not given.
    init : {"k-means++", "random", "random-rows", "small-em"} or array (n, K)
        See `models.starts.initial_parameters`; not for declared models, whose starts are drawn by
        `models.declared.starts`.
    n_init : int
        Number of starts; the result with the highest objective is returned, and `maxima` says where the starts ended.
        Of more than four, those that lie behind after some passes are given up.  Where the best was found only once,
        as many starts are made again.
    sample_weight, labels, lengths : arrays, optional
        For data given as an array, see `ArraySource`.
    groups : (n,) or name of a column, optional
        Equal for the rows of a group, which need not be adjacent; instead of `lengths`.  A column that is named is none
        of the values, except for a declared model.
    covariates : (n, P), or names of columns, optional
        What the model conditions on, where it does (`LinearRegression`, `CovariateMarkovChain`).
    acceleration : None, a name of `acceleration.SCHEMES`, or Acceleration
        None is plain EM; "auto" chooses by the rate of EM, and the result's `algorithm` tells what.
    e_step : Annealing, Classification, Stochastic, Incremental, or None
        Another E-step, by which the fit begins; None is EM's.  Not for declared models.  Callbacks are told of its
        iterations, too, numbered anew in each stage, with the objective that the stage ascends.
    executor : None, "serial", "threads", "processes" or Executor
        None chooses threads where there are several chunks.  The result is the same to the bit.
    tol : float
        Stop when the estimated remaining gain of the objective is at most this.
    max_iter : int
        Passes over the data; the iteration that reaches it is finished (a rejected proposal costs a pass more).
    random_state : None, int, Generator or RandomState
    callbacks : callables
        Called with each `Iteration`; one that returns True stops the fit.
    restart_collapsed : int
        How many new starts to try where a component collapses onto its floor.
    checkpoint : path or Checkpoint, optional
        Writes the state of the fit to that file once a minute (or as the `Checkpoint` says), and goes on from there if
        it exists.
    certify : bool
        Whether to say what the end of the fit is (`result.certificate`), at the price of about two passes for each free
        parameter.  A saddle is left then, and the fit goes on to a maximum.

    Returns
    -------
    EMResult

    Raises
    ------
    DataError, ParameterError
        See `ArraySource` and the family.
    """
    columns = {"sample_weight": sample_weight, "labels": labels, "lengths": lengths, "groups": groups}
    columns["covariates"] = covariates
    if covariates is not None and not isinstance(model, LatentVariableModel):
        raise ParameterError("a declared model finds its covariates among the data; give them as arrays by name")
    source = as_source(data, grouping=grouping_of(model), **columns)
    check_source(model, source)
    generator = as_generator(random_state)
    starts = 1 if _is_start(parameters) else _whole("n_init", n_init, 1)
    restarts = _whole("restart_collapsed", restart_collapsed, 0)
    keeper = as_checkpoint(checkpoint, starts, restarts)
    _check_e_step(e_step, model, keeper)
    steps = as_acceleration(acceleration), _not_negative("tol", tol), _whole("max_iter", max_iter, 0)
    with opened(executor) as workers:
        rows = source
        if isinstance(model, LatentVariableModel) and model.moments_suffice:
            source = moment_rows(source, workers)
        climb = _Climb(source, workers, *steps, tuple(callbacks), certify)

        declared = _declared(model, parameters, init, generator, climb, keeper)

        def begin(_: int, passes: int | None = None) -> EMResult:
            if declared is not None:
                return declared.begin(passes)
            built_in, start = cast("LatentVariableModel", model), parameters
            if start is None:
                start = initial_parameters(built_in, source, init=init, rng=generator, executor=workers)
            if e_step is not None:
                return climb.no_longer(passes).by(e_step, built_in, start, generator)
            return climb.no_longer(passes)(built_in, start, keeper)

        def certified(result: EMResult) -> EMResult:
            return result if was_stopped(result) else to_a_maximum(result, climb.on, climb.tol, workers)

        def attempt(number: int) -> EMResult:
            if number:
                return begin(number)
            go_on = climb.further if e_step is None else None
            if declared is not None:
                go_on = declared.further if declared.may_pause else None
            return best_of_starts(begin, go_on, starts, source, certified if certify else None)

        best = best_of(attempt, 1, restarts, lambda result: result, was_stopped)
        return name_places(replace(best, n_rows=rows.n_rows, source=rows), rows)


def _check_e_step(e_step: Any, model: Model, keeper: Checkpoint | None) -> None:
    if e_step is None:
        return
    if not isinstance(e_step, EStep):
        known = "Annealing(), Classification(), Stochastic() or Incremental()"
        raise ParameterError(f"e_step must be None, {known}, got {e_step!r}")
    if not isinstance(model, LatentVariableModel):
        raise ParameterError("a declared model names its own E-step when it is declared; leave e_step out here")
    if keeper is not None:
        raise ParameterError("a fit by another E-step cannot go on from a checkpoint; leave one of the two out")


def grouping_of(model: Model) -> Grouping | None:
    """What a declared model wants of its data; None for other models."""
    return None if isinstance(model, LatentVariableModel) else cast("DeclaredModel", model).declaration.grouping


def _is_start(parameters: Any) -> bool:
    return parameters is not None and not isinstance(parameters, Mapping)


@dataclass(frozen=True)
class _Climb:
    """From a start to its limit, with these options; from where the checkpoint left off, if there is one."""

    source: Source
    executor: Executor
    acceleration: Acceleration | None
    tol: float
    max_iter: int
    callbacks: tuple[Callable[[Iteration], object], ...]
    recorded: bool = False

    def __call__(self, model: Model, start: Any, checkpoint: Checkpoint | None = None) -> EMResult:
        keeper = () if checkpoint is None else (checkpoint,)
        recorder = Recorder(model)
        watchers = (recorder,) if self.recorded else ()
        result = run(
            model,
            self.source,
            start,
            executor=self.executor,
            acceleration=self.acceleration,
            tol=self.tol,
            max_iter=self.max_iter,
            callbacks=(*watchers, *self.callbacks, *keeper),
            resume=resumed(checkpoint, model, self.source, start, self.executor),
        )
        return replace(result, ascent=tuple(recorder.gains)) if self.recorded else result

    def by(self, e_step: EStep, model: LatentVariableModel, start: Any, rng: np.random.Generator) -> EMResult:
        """The same by another E-step."""
        shared = {field.name for field in dataclass_fields(self)} - {"recorded"}
        options = {name: getattr(self, name) for name in shared}
        return e_step.fit(Task(model=model, start=start, seed=int(rng.integers(2**62)), **options))

    def no_longer(self, passes: int | None) -> _Climb:
        """The same with a lower limit; None: as it is."""
        return self if passes is None else replace(self, max_iter=min(passes, self.max_iter))

    def further(self, result: EMResult, passes: int | None) -> EMResult:
        """From where a result stands for so many passes, or to the end."""
        left = replace(self, max_iter=self.max_iter - result.n_iter)
        return joined(result, left.no_longer(passes)(result.model, result.parameters)) if left.max_iter > 0 else result

    def on(self, model: Model, start: Any, tol: float) -> EMResult:
        """Further from where a fit ended, with another tolerance."""
        return replace(self, tol=tol)(model, start)

    def simulate(self, model: DeclaredModel, start: Any, rng: np.random.Generator) -> EMResult:
        """The same by stochastic approximation EM."""
        from .models.declared.saem import run_saem

        if self.acceleration is not None:
            raise ParameterError("stochastic approximation takes no acceleration; leave it out")
        return run_saem(
            model,
            self.source,
            start,
            executor=self.executor,
            tol=self.tol,
            max_iter=self.max_iter,
            callbacks=self.callbacks,
            random_state=rng,
        )


def _declared(
    model: Model,
    parameters: Any,
    init: Any,
    rng: np.random.Generator,
    climb: _Climb,
    keeper: Checkpoint | None,
) -> DeclaredFits | None:
    """The fits of a declared model, one start after the other; None for other models."""
    if isinstance(model, LatentVariableModel):
        return None
    from .models.declared.fits import DeclaredFits

    if not (isinstance(init, str) and init == "k-means++"):
        raise ParameterError("init is for built-in models; a declared model takes parameters={name: value, …}")
    if parameters is not None and not isinstance(parameters, Mapping) and not hasattr(parameters, "domains"):
        raise ParameterError(f"parameters must map names to values, such as {{'rate': 1.0}}; got {parameters!r}")
    return DeclaredFits(cast("DeclaredModel", model), parameters, rng, climb, keeper)


def as_checkpoint(checkpoint: Any, starts: int, restarts: int) -> Checkpoint | None:
    """A checkpoint by its path; several starts have none."""
    if checkpoint is None:
        return None
    if starts > 1 or restarts:
        raise ParameterError("a checkpoint belongs to one start: use n_init=1 and restart_collapsed=0 with it")
    from .io.checkpoints import Checkpoint

    return checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)


def resumed(
    checkpoint: Checkpoint | None, model: Model, source: Source, start: Any, executor: Executor
) -> Iteration | None:
    """The iteration in the checkpoint, if there is one and it is of these data; one pass over them tells."""
    if checkpoint is None or not checkpoint.exists():
        return None
    kept = checkpoint.load(start)
    here = next(iterate(model, source, kept.parameters, executor=executor))
    if not abs(here.objective - kept.objective) <= here.rounding + kept.rounding:
        raise ModelFileError(
            f"{checkpoint.path} is the checkpoint of other data or of another model: its parameters have the "
            f"objective {kept.objective:.10g} there and {here.objective:.10g} here; remove it or choose another file"
        )
    return kept


def best_of(
    attempt: Callable[[int], R],
    starts: int,
    restarts: int,
    result_of: Callable[[R], EMResult],
    stopped: Callable[[R], bool],
) -> R:
    """The attempt with the highest objective, the first of equals; while it has findings (collapsed components), up to
    `restarts` further attempts may replace it.  After one that was `stopped` no other is begun."""
    best = last = attempt(0)
    for number in range(1, starts):
        if stopped(last):
            return best
        last = attempt(number)
        best = max(best, last, key=lambda found: result_of(found).objective)
    for extra in range(restarts):
        if stopped(last) or not _collapsed(result_of(best)):
            break
        last = attempt(starts + extra)
        if _collapsed(result_of(last)) < _collapsed(result_of(best)):
            best = last
    return best


def _collapsed(result: EMResult) -> int:
    """How many findings tell of a component on its floor, or of a likelihood without bound."""
    return sum(finding.code in COLLAPSED for finding in result.findings)


def as_generator(random_state: Any) -> np.random.Generator:
    """A generator from what scikit-learn and NumPy users pass; global state is neither read nor changed."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31, size=4))
    return np.random.default_rng(random_state)


def as_acceleration(acceleration: str | Acceleration | None) -> Acceleration | None:
    """An acceleration by its name."""
    if acceleration is None or isinstance(acceleration, Acceleration):
        return acceleration
    from .acceleration import SCHEMES

    if acceleration not in SCHEMES:
        names = ", ".join(map(repr, SCHEMES))
        raise ParameterError(f"acceleration must be None, {names} or an Acceleration, got {acceleration!r}")
    return SCHEMES[acceleration]()


def name_places(result: EMResult, source: Source) -> EMResult:
    """The result whose findings say the names of columns, and the rows of the component that they are about."""
    named = (replace(finding, message=name_columns(finding.message, source.names)) for finding in result.findings)
    return _name_rows(replace(result, findings=tuple(named)), source)


def _name_rows(result: EMResult, source: Source) -> EMResult:
    about = [finding for finding in result.findings if _is_about_rows(finding, result.model)]
    concerned = sorted({finding.component for finding in about if finding.component is not None})
    if not concerned or result.model.family.per_group:
        return result
    places = {component: _Place() for component in concerned}
    for batch in source:
        probabilities = getattr(result.model.infer(result.parameters, batch)[0], "probabilities", None)
        if probabilities is None:  # z is no state
            return result
        assigned = probabilities.argmax(axis=0)
        for component, place in places.items():
            seen = (assigned == component) & (batch.unit_weights(per_group=False) > 0)
            place.add(batch, np.flatnonzero(seen))
    told = (_with_rows(finding, places) if finding in about else finding for finding in result.findings)
    return replace(result, findings=tuple(told))


def _is_about_rows(finding: Finding, model: Model) -> bool:
    """Whether rows are at fault: a component's always, a state's where it collapsed, not where it goes or how long."""
    return finding.code in COLLAPSED or not getattr(model, "per_group", False)


@dataclass
class _Place:
    """The rows that most probably belong to a component, and whether they are all the same."""

    rows: list[int] = field(default_factory=list)
    count: int = 0
    first: Any = None
    identical: bool = True

    def add(self, batch: Batch, found: Array) -> None:
        if not len(found):
            return
        named = found[:ROWS_NAMED]
        self.rows += (batch.first_row + named if batch.rows is None else batch.rows[named]).tolist()
        self.count += len(found)
        values = batch.values[found]
        self.first = values[0] if self.first is None else self.first
        self.identical = self.identical and bool(np.all((values == self.first) | (values != values)))

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.rows[:ROWS_NAMED])) or "none"
        more = self.count - min(ROWS_NAMED, len(self.rows))
        same = ", all identical" if self.count > 1 and self.identical else ""
        return f"{listed}{f' and {more} more' if more > 0 else ''}{same}"


def _with_rows(finding: Finding, places: dict[int, _Place]) -> Finding:
    if finding.component not in places:
        return finding
    return replace(finding, message=f"{finding.message} (its rows: {places[finding.component]})")


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ParameterError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return int(value)


def _not_negative(name: str, value: Any) -> float:
    if not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ParameterError(f"{name} must be a number of at least 0, got {value!r}")
    return float(value)


