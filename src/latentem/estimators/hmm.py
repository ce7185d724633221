"""What all hidden Markov models share: starting, fitting, telling; parameters as attributes that users may set."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..data import Source
from ..em import Executor, run
from ..errors import DataError, ParameterError
from ..execution.opening import opened
from ..families.components import Components
from ..families.conjugate import Conjugate, ConjugatePrior
from ..families.constrained import Constrained
from ..fitting import as_acceleration, as_checkpoint, as_generator, best_of, name_places, resumed
from ..io.checkpoints import Checkpoint
from ..kernels.stationary import stationary_distribution
from ..latents import Categorical, MarkovChain
from ..latents.markov_chain import MarkovChainParameters, MarkovChainStatistics
from ..model import Family, LatentVariableModel, ModelParameters, Prior, check_source
from ..result import EMResult, Iteration, Status, Step
from .certified import at_a_maximum, finished
from .components import match_labels
from .findings import FindingWarning, tell
from .hmm_findings import examine_fit, examine_sequences
from .hmm_options import CONSTRAINTS
from .hmm_predicting import SequencePredicting
from .inputs import read_table, require_observed
from .monitor import ConvergenceMonitor, Reporting
from .partial_hmm import LearnsSequences
from .sequences import in_canonical_order, read_sequences
from .starting import start_parameters
from .starting_values import check_init
from .undoing import unchanged_on_error


class HiddenMarkov(LearnsSequences, SequencePredicting, BaseEstimator, ABC):
    """A hidden Markov model p(x, z) = ι(z₁) Πₜ A(zₜ, zₜ₊₁) Πₜ p(xₜ | zₜ), fitted by EM.

    Subclasses say from which family the observations come, and how its parameters look as attributes.  Attributes that
    are set before `fit` are where it starts, unless `init_params` has their letter; and they need no fit to predict.
    """

    _parameter_constraints: dict[str, Any] = CONSTRAINTS
    _letters: ClassVar[dict[str, str]]
    _held_names: ClassVar[dict[str, str]] = {}
    _estimates_variances: ClassVar[bool] = False
    _takes_counts: ClassVar[bool] = False

    # -- what a subclass says ------------------------------------------------------------------

    @abstractmethod
    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        """The family without priors; without data, as the attributes have it and without floors."""

    @abstractmethod
    def _pack(self, attributes: dict[str, Any]) -> Any:
        """The family's parameters from the attributes that `_letters` names, checked."""

    @abstractmethod
    def _unpack(self, emission: Any) -> dict[str, Any]:
        """The attributes that `_letters` names from the family's parameters."""

    @abstractmethod
    def _n_columns(self) -> int:
        """Number of columns, as the attributes have it."""

    def _prior(self, n_columns: int) -> ConjugatePrior | None:
        """The prior of the family's parameters; None where it is flat."""
        return None

    def _read(self, X: Any, *, reset: bool) -> Any:
        return read_table(self, X, reset=reset)

    def _first_emission(
        self, model: LatentVariableModel, source: Source, rng: np.random.Generator, workers: Any
    ) -> Any:
        """Parameters of the family that a start begins with: those of a mixture, as if rows were independent."""
        init = self._init_of(source)
        rows = in_canonical_order(source) if isinstance(init, str) else source
        start = start_parameters(model, rows, init, rng, True, workers)
        if any(batch.labels is not None for batch in source) and not isinstance(model.family, Components):
            start = match_labels(model, start, rows)
        return start.emission

    def _prepared(self, attributes: dict[str, Any], family: Any) -> dict[str, Any]:
        """Starting attributes brought under the family's floors."""
        return attributes

    def _family(self, source: Source) -> Family[Any, Any]:
        """The family that is fitted: with its prior, and with what `params` leaves out held.

        Covariances that are held need no floor, and may lie below it.
        """
        held_spread = "c" in self._letters and "c" not in self.params
        family, prior = self._bare_family(None if held_spread else source), self._prior(source.n_columns)
        if prior is not None:
            family = Conjugate(family, prior)
        held = self._held()
        return Constrained(family, held) if held else family

    def _held(self) -> tuple[str, ...]:
        """The arrays of the family that `params` leaves out."""
        return tuple(self._array_name(letter) for letter in self._letters if letter not in self.params)

    def _array_name(self, letter: str) -> str:
        """What the family calls the array of a letter."""
        return self._held_names[letter]

    def _dressed(self, family: Any, emission: Any) -> Any:
        return family.constrain(emission) if isinstance(family, Constrained) else emission

    # -- fitting -------------------------------------------------------------------------------

    def fit(
        self,
        X: Any,
        lengths: Any = None,
        *,
        groups: Any = None,
        sample_weight: Any = None,
        labels: Any = None,
        callbacks: Iterable[Callable[[Iteration], object]] = (),
        checkpoint: Any = None,
    ) -> Self:
        """Estimate the parameters by EM.

        Parameters
        ----------
        X : array-like (n, D), list of those, table, or Source
            Rows in the order of time; NaN marks a missing entry, a row of them a missing step.  A list of
            two-dimensional arrays or tables holds a sequence in each.
        lengths : sequence of int, optional
            Lengths of consecutive sequences; all rows are one sequence without it.
        groups : (n,) or name of a column, optional
            Equal for the rows of a sequence, instead of `lengths`.
        sample_weight : (number of sequences,), optional
            A weight for each sequence: 2 is the sequence twice.
        labels : (n,) of int, optional
            Known states of the rows, -1 where unknown; for a list, a list of such.
        callbacks : callables
            Called with each `Iteration`; one that returns True stops the fit.
        checkpoint : path or Checkpoint, optional
            A file for the state of the fit, which goes on from there if it exists.  For one start.

        Raises
        ------
        DataError
            Data that cannot come from the model, or lengths that do not add up; the place is named.
        ParameterError
            Starting values outside their range: rows of `transmat_` that do not add to one, and the like.
        """
        with unchanged_on_error(self):
            self._validate_params()
            source = self._sequences(X, lengths, groups=groups, sample_weight=sample_weight, labels=labels, reset=True)
            require_observed(source)
            family = self._family(source)
            check_source(family, source)
            self._warn_of_overwriting()
            result = self._best(family, source, tuple(callbacks), as_checkpoint(checkpoint, self.n_init, 0))
            self._store(result, source)
        return self

    def fit_predict(self, X: Any, lengths: Any = None, **options: Any) -> Array:
        """`fit(X, lengths, …)`, then `predict(X, lengths)`."""
        groups = options.get("groups")
        return self.fit(X, lengths, **options).predict(X, lengths, groups=groups)

    @property
    def monitor_(self) -> Any:
        """The record of the last fit; one of the user's own may be put in its place before `fit`."""
        if not hasattr(self, "_monitor"):
            self._monitor = ConvergenceMonitor(self.tol, self.n_iter, bool(self.verbose))
        return self._monitor

    @monitor_.setter
    def monitor_(self, monitor: Any) -> None:
        self._monitor = monitor

    def _sequences(self, X: Any, lengths: Any = None, *, reset: bool, **columns: Any) -> Source:
        source = read_sequences(self, X, lengths=lengths, n_states=self.n_components, reset=reset, **columns)
        if not reset and source.n_columns != self._n_columns():
            raise DataError(f"X has {source.n_columns} columns, but the model has {self._n_columns()}")
        return source

    def _best(self, family: Any, source: Source, callbacks: tuple[Any, ...], checkpoint: Checkpoint | None) -> EMResult:
        self._monitor = self._fresh_monitor()
        n_init = 1 if self._all_given() else self.n_init
        rng = as_generator(self.random_state)
        ended: list[EMResult] = []
        with opened(self.executor) as workers:

            def attempt(number: int) -> EMResult:
                model, start = self._model_at(family, self._start(family, source, rng, number, workers))
                ended.append(self._climb(model, source, start, float(self.tol), workers, callbacks, checkpoint))
                return ended[-1]

            def further(model: LatentVariableModel, start: ModelParameters, tol: float) -> EMResult:
                return self._climb(model, source, start, tol, workers, callbacks, None)

            def certified(result: EMResult) -> EMResult:
                return at_a_maximum(result, further, float(self.tol), workers)

            stopped = (Status.STOPPED, Status.INTERRUPTED)
            best = best_of(attempt, n_init, 0, lambda result: result, lambda result: result.status in stopped)
            found = finished(best, ended, source, certified if self.certify else None)
            if n_init > 1 or self.certify:
                self._retell(found)
            return name_places(found, source)

    def _climb(
        self,
        model: LatentVariableModel,
        source: Source,
        start: ModelParameters,
        tol: float,
        workers: Executor,
        callbacks: tuple[Any, ...],
        checkpoint: Checkpoint | None,
    ) -> EMResult:
        reporting = Reporting(self._monitor)
        result = run(
            model,
            source,
            start,
            executor=workers,
            acceleration=as_acceleration(self.acceleration),
            tol=0.0 if reporting.decides else tol,
            max_iter=int(self.n_iter),
            callbacks=(reporting, *callbacks, *(() if checkpoint is None else (checkpoint,))),
            resume=resumed(checkpoint, model, source, start, workers),
        )
        reporting.end(result.status)
        return result

    def _model_at(self, family: Any, start: ModelParameters) -> tuple[LatentVariableModel, ModelParameters]:
        """The model with what the start holds, and the start as it wants it."""
        chain = self._latent(start.latent)
        start = replace(start, latent=chain.conform(start.latent))
        model = LatentVariableModel(chain, family, self._chain_prior(start.latent))
        if not model.admissible(start):
            raise ParameterError("the starting values lie outside what the family allows; start within its bounds")
        return model, start

    def _fresh_monitor(self) -> Any:
        given = self.monitor_
        if type(given) is not ConvergenceMonitor:
            return given
        return ConvergenceMonitor(self.tol, self.n_iter, bool(self.verbose))

    def _retell(self, best: EMResult) -> None:
        """The monitor of several starts tells of the best one."""
        if type(self._monitor) is ConvergenceMonitor:
            history = [objective for _, objective in best.history]
            self._monitor = replace(self._monitor, history=history, iter=len(history), status=best.status)

    # -- starting ------------------------------------------------------------------------------

    def _start(
        self, family: Any, source: Source, rng: np.random.Generator, number: int, workers: Any
    ) -> ModelParameters:
        latent = self._first_chain(rng, number)
        given = {name: getattr(self, name) for letter, name in self._letters.items() if self._is_given(letter, name)}
        if len(given) < len(self._letters):
            bare = self._bare_family(source)
            model = LatentVariableModel(Categorical(self.n_components), bare)
            given = self._unpack(self._first_emission(model, source, rng, workers)) | given
        emission = self._pack(self._prepared(given, family))
        return ModelParameters(latent, self._dressed(family, emission))

    def _first_chain(self, rng: np.random.Generator, number: int) -> MarkovChainParameters:
        """Even probabilities at the first start, random ones at others; or those that the user has set."""
        k = self.n_components
        found = {"startprob_": np.full(k, 1.0 / k), "transmat_": np.full((k, k), 1.0 / k)}
        if number:
            found = {"startprob_": rng.dirichlet(np.ones(k)), "transmat_": rng.dirichlet(np.ones(k), size=k)}
        for letter, name in (("s", "startprob_"), ("t", "transmat_")):
            if self._is_given(letter, name):
                found[name] = getattr(self, name)
        return check_chain(found["startprob_"], found["transmat_"], k)

    def _is_given(self, letter: str, name: str) -> bool:
        return letter not in self.init_params and hasattr(self, name)

    def _all_given(self) -> bool:
        named = {"s": "startprob_", "t": "transmat_", **self._letters}
        return all(self._is_given(letter, name) for letter, name in named.items())

    def _init_of(self, source: Source) -> Any:
        init, order = check_init(self.init, source.n_rows, self.n_components), getattr(source, "rows", None)
        return init if order is None or isinstance(init, str) else init[order]

    def _latent(self, start: MarkovChainParameters) -> MarkovChain:
        """The chain with what is held and tied: by the constructor, and by what `params` leaves out."""
        if self.stationary and self.startprob_fixed is not None:
            raise ParameterError(
                "startprob_fixed and stationary=True contradict each other: a stationary start follows from transmat_; "
                "leave one of them out"
            )
        estimated = "t" in self.params
        first = self.startprob_fixed if "s" in self.params else start.initial
        return MarkovChain(
            self.n_components,
            fixed=self.transmat_fixed if estimated else start.transition,
            tied=self.transmat_tied if estimated else None,
            fixed_initial=None if self.stationary else first,
            stationary=bool(self.stationary),
        )

    def _chain_prior(self, start: MarkovChainParameters) -> Prior:
        """Dirichlet priors of what may be above 0."""
        k = self.n_components
        initial = dirichlet_counts("startprob_prior", self.startprob_prior, (k,))
        transitions = dirichlet_counts("transmat_prior", self.transmat_prior, (k, k))
        if not initial.any() and not transitions.any():
            return Prior()
        counts = MarkovChainStatistics(
            np.where(start.initial > 0, initial, 0.0), np.where(start.transition > 0, transitions, 0.0)
        )
        return Prior(concentration=counts)

    def _warn_of_overwriting(self) -> None:
        for letter, name in {"s": "startprob_", "t": "transmat_", **self._letters}.items():
            own = getattr(self, name, None)
            if letter in self.init_params and own is not None and own is not self._fitted_arrays().get(name):
                warnings.warn(
                    f"{name.strip('_')}_ was set, but will be overwritten, since init_params has {letter!r}: leave "
                    "that letter out to start from it",
                    FindingWarning,
                    stacklevel=3,
                )
        if self.stationary and self._is_given("s", "startprob_") and not self._starts_stationary():
            warnings.warn(
                "startprob_ was set, but stationary=True puts the stationary distribution of transmat_ in its place",
                FindingWarning,
                stacklevel=3,
            )

    def _starts_stationary(self) -> bool:
        """Whether `startprob_` is of the last fit, or the stationary distribution of a `transmat_` to start from."""
        if self.startprob_ is self._fitted_arrays().get("startprob_"):
            return True
        if not self._is_given("t", "transmat_"):
            return False
        chain = check_chain(self.startprob_, self.transmat_, self.n_components)
        return bool(np.allclose(chain.initial @ chain.transition, chain.initial, rtol=0, atol=1e-6))

    def _fitted_arrays(self) -> dict[str, Any]:
        found: dict[str, Any] = getattr(self, "_from_fit", {})
        return found

    # -- results -------------------------------------------------------------------------------

    def _store(self, result: EMResult, source: Source) -> None:
        findings = (
            *examine_sequences(source, result, self._estimates_variances),
            *examine_fit(source, result),
            *result.findings,
        )
        self.result_ = replace(result, findings=findings)
        tell(self.result_)
        if not result.converged and result.status is not Status.STOPPED and self.n_iter > 0:
            warnings.warn(f"The fit did not converge; {result.status.value}", ConvergenceWarning, stacklevel=4)
        self._show_parameters(result.parameters)
        self._stream = None
        self.converged_, self.n_iter_ = result.converged, result.n_iter

    def _show_parameters(self, params: ModelParameters) -> None:
        """As attributes."""
        shown = {
            "startprob_": np.array(params.latent.initial),
            "transmat_": np.array(params.latent.transition),
            **self._unpack(_bare(params.emission)),
        }
        for name, value in shown.items():
            setattr(self, name, value)
        self._from_fit = shown

    @property
    def lower_bounds_(self) -> list[float]:
        """The objective after each iteration of the last fit."""
        return [objective for step, objective in self.result_.history if step is not Step.START]

    def _check(self) -> None:
        """Raise `ParameterError` where the attributes are no parameters of the model."""
        check_chain(self.startprob_, self.transmat_, self.n_components)
        self._emission()

    def _emission(self) -> Any:
        return self._pack({name: getattr(self, name) for name in self._letters.values()})

    def _current(self) -> tuple[LatentVariableModel, ModelParameters]:
        chain = check_chain(self.startprob_, self.transmat_, self.n_components)
        emission = self._emission()
        return (
            LatentVariableModel(MarkovChain(self.n_components), self._bare_family(None)),
            ModelParameters(chain, emission),
        )

    def _n_parameters(self) -> int:
        """Free parameters: of the last fit, where the attributes are still its own; else of the model."""
        own = self._fitted_arrays()
        if own and all(getattr(self, name, None) is value for name, value in own.items()):
            return int(self.result_.n_parameters)
        chain = check_chain(self.startprob_, self.transmat_, self.n_components)
        latent, family, emission = self._latent(chain), self._bare_family(None), self._emission()
        marks = {name: getattr(latent, name) for name in ("fixed", "tied", "fixed_initial", "stationary")}
        held = self._held()
        if held:
            emission = Constrained(family, held).constrain(emission)
        return int(replace(chain, **marks).n_free + emission.n_free)

    def get_stationary_distribution(self) -> FloatArray:
        """δ (K,) with δ A = δ and Σ δ = 1; a `ParameterError` where the chain has several."""
        check_is_fitted(self, "transmat_")
        return stationary_distribution(probabilities("transmat_", self.transmat_, (self.n_components,) * 2))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = tags.input_tags.categorical = self._takes_counts
        return tags


class WithFeatures(HiddenMarkov):
    """A model whose `n_features` is the number of columns."""

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return self._n_columns()

    @n_features.setter
    def n_features(self, value: int) -> None:
        if any(hasattr(self, name) for name in self._letters.values()) and value != self._n_columns():
            raise ParameterError(
                f"n_features is {self._n_columns()}, as the parameters have it; {value} contradicts them"
            )


def check_chain(startprob: Any, transmat: Any, n_states: int) -> MarkovChainParameters:
    """The parameters of a chain, or an error that names the row at fault."""
    k = n_states
    initial = probabilities("startprob_", startprob, (k,))
    transition = probabilities("transmat_", transmat, (k, k))
    return MarkovChainParameters(initial, transition)


def probabilities(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """An array of probabilities whose last axis adds to one (to 1e-6; it is then divided by its sum)."""
    checked = np.array(values, dtype=float)
    if checked.shape != shape:
        raise ParameterError(f"{name} must have shape {shape}, got {checked.shape}")
    table = np.atleast_2d(checked)
    sums = table.sum(axis=1)
    wrong = np.flatnonzero(~(np.abs(sums - 1) <= 1e-6) | (table < 0).any(axis=1))
    if len(wrong):
        row = int(wrong[0])
        where = name if checked.ndim == 1 else f"row {row} of {name}"
        told = "is all zeros" if not table[row].any() else f"is {table[row].tolist()}, which adds up to {sums[row]:.6g}"
        raise ParameterError(f"{where} must be probabilities that add up to 1, but it {told}; divide it by its sum")
    return np.asarray(checked / checked.sum(axis=-1, keepdims=True))


def dirichlet_counts(name: str, prior: Any, shape: tuple[int, ...]) -> FloatArray:
    """Pseudo-counts α - 1 of Dirichlet priors, or an error where α is not of the shape, or below 1."""
    try:
        alpha = np.broadcast_to(np.asarray(prior, float), shape)
    except ValueError as error:
        raise ParameterError(f"{name} must be a number or have shape {shape}, got shape {np.shape(prior)}") from error
    if not np.all(np.isfinite(alpha) & (alpha >= 1)):
        raise ParameterError(
            f"{name} must be finite and at least 1 (the prior density is infinite at probability 0 below that, and "
            f"nothing is then most probable), got {alpha.min():g}"
        )
    return alpha - 1.0


def per_state(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    """A number, one for each state (K,), or an array of the whole shape, broadcast to that shape."""
    given = np.asarray(values, float)
    if given.shape == shape[:1]:
        given = given.reshape(shape[:1] + (1,) * (len(shape) - 1))
    try:
        result = np.broadcast_to(given, shape)
    except ValueError as error:
        raise ParameterError(
            f"{name} must be a number, one for each state, or have shape {shape}; got shape {np.shape(values)}"
        ) from error
    if not np.all(np.isfinite(result)):
        raise ParameterError(f"{name} must be finite, got {np.asarray(values).tolist()}")
    return result


def _bare(emission: Any) -> Any:
    return getattr(emission, "base", emission)
