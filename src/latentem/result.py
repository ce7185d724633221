"""What the loop yields and what a fit returns: bare records, and a status whose value is a sentence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import nan
from typing import Any

from .errors import ParameterError
from .parameters import Parameters


class Status(Enum):
    """Why a fit stopped.  Only `CONVERGED` claims convergence."""

    CONVERGED = "converged: the estimated remaining gain of the objective is within the tolerance"
    ROUNDING = "converged: two steps in a row changed the objective by no more than its numerical error"
    MAX_ITER = "stopped at the iteration limit before convergence; raise max_iter or tol, or use an acceleration"
    STALLED = "stopped: no step raised the objective, though the steps are not yet small; see the findings"
    COARSE = "not converged: integrals over z are too coarse to tell the objective's gains; see the findings"
    SLOPE = "not converged: no step raised the objective, but its slope is not zero; see the findings"
    UNBOUNDED = "not converged: the likelihood grows without bound towards these parameters; see the findings"
    STOCHASTIC = "stopped: the averaged parameters move by less than their simulation error, and that is small"
    DRAWN = "stopped after the draws that were asked for: the parameters are their average, and maximize nothing"
    ONLINE = "stopped at the end of the stream: online EM has no test of convergence"
    INTERRUPTED = "interrupted by the user; the parameters are the best so far"
    STOPPED = "stopped early by a callback; the parameters are the best so far"

    @property
    def converged(self) -> bool:
        return self in (Status.CONVERGED, Status.ROUNDING)


class Step(Enum):
    """How the parameters of an iteration were reached."""

    START = "start"
    EM = "EM step"
    ACCELERATED = "accelerated step"
    REJECTED = "EM step after a rejected proposal"
    DAMPED = "damped EM step"
    STOCHASTIC = "stochastic approximation step"
    NONE = "no step: nothing raised the objective"


@dataclass(frozen=True)
class Iteration:
    """One pass over the data, and all that is needed to go on from it.

    Attributes
    ----------
    index : int
        Passes over the data since the start, the start's own not counted.
    parameters : Parameters
        θ, at which the objective was evaluated.
    em_parameters : Parameters
        M(θ), where an EM step leads.
    objective, log_likelihood : float
        ℓ(θ) plus log prior, and ℓ(θ) alone.
    rounding : float
        Bound on the rounding error of the objective.
    step : Step
    gain : float
        Objective minus that of the iteration before; NaN at the start.
    gains : tuple of float
        Gains of the consecutive plain EM steps that end here.
    expectation : Expectation
        The statistics at θ.
    scheme : Any
        State of the acceleration.
    ratio : float
        The last known ratio ρ = λ² of consecutive plain gains; NaN before three are known.
    secants : Secants or None
        The last points with their EM steps and scores, which tell the stop rule what is left; None where not needed.
    """

    index: int
    parameters: Parameters
    em_parameters: Parameters
    objective: float
    log_likelihood: float
    rounding: float
    step: Step
    gain: float
    gains: tuple[float, ...]
    expectation: Any = None
    scheme: Any = None
    ratio: float = nan
    secants: Any = None


@dataclass(frozen=True)
class Finding:
    """Something a user should know of a fit.

    Attributes
    ----------
    code : str
        A short code that the documentation has a page for.
    message : str
        One sentence with the place and the remedy.
    component : int or None
    """

    code: str
    message: str
    component: int | None = None


@dataclass(frozen=True, repr=False)
class EMResult:
    """What a fit returns.

    Attributes
    ----------
    model : LatentVariableModel
    parameters : ModelParameters
    status : Status
    log_likelihood, objective : float
        At `parameters`; the objective includes the log prior.
    n_iter : int
        Passes over the data, the start's own not counted; of online EM, batches.
    remaining_gain : float
        Estimated gain of the objective from here to the limit (see `RemainingGain`); NaN if unknown.
    rate : float
        Estimated convergence rate λ of EM (1: no progress); NaN if unknown.
    history : tuple of (Step, float)
        How each iteration was reached, and its objective.
    findings : tuple of Finding
    expectation : Expectation
        The expected sufficient statistics at `parameters`.
    n_rows : int
    source : Source or None
        The data that were fitted, for questions asked later; they are not copied, pickled or saved with the result.
    algorithm : str
        Plain EM, or the acceleration and what it chose.
    certificate : Certificate or None
        What the end of the fit is, where `fit(…, certify=True)` asked.
    maxima : MapOfMaxima or None
        Where the starts ended, of several.
    ascent : tuple of Gain
        What each step gained, in Q and in KL, where `fit(…, certify=True)` asked.
    start : Parameters or None
        Where the fit began, so that the way can be gone again; None where it is not known.
    """

    model: Any
    parameters: Any
    status: Status
    log_likelihood: float
    objective: float
    n_iter: int
    remaining_gain: float
    rate: float
    history: tuple[tuple[Step, float], ...]
    findings: tuple[Finding, ...]
    expectation: Any
    n_rows: int
    source: Any = field(default=None, compare=False, metadata={"stored": False})
    algorithm: str = "plain EM"
    certificate: Any = field(default=None, compare=False, metadata={"stored": False})
    maxima: Any = field(default=None, compare=False, metadata={"stored": False})
    ascent: tuple[Any, ...] = field(default=(), compare=False, metadata={"stored": False})
    start: Any = field(default=None, compare=False, metadata={"stored": False})

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "source": None}

    def __repr__(self) -> str:
        told = "".join(f"\n  {finding.code}: {finding.message}" for finding in self.findings)
        work = "batches from" if self.status is Status.ONLINE else "passes over"
        return (
            f"EMResult({self.status.value}\n  log-likelihood {self.log_likelihood:.10g} after {self.n_iter} {work} "
            f"{self.n_rows} rows; {self.n_parameters} free parameters\n  {self.algorithm}{told}{self._certified()})"
        )

    def _certified(self) -> str:
        return "" if self.certificate is None else "\n  " + str(self.certificate).replace("\n", "\n  ")

    @property
    def converged(self) -> bool:
        return self.status.converged

    @property
    def score(self) -> Any:
        """The gradient of the objective at `parameters` in unconstrained coordinates, (d,): zero at a free maximum."""
        return self.model.objective_score(self.expectation.statistics, self.parameters)

    @property
    def n_parameters(self) -> int:
        """Free parameters."""
        return int(self.parameters.n_free)

    def posterior(self, x: Any, **columns: Any) -> Any:
        """p(z | x; θ) of new data at the fitted parameters, for a declared model; see `DeclaredModel.posterior`."""
        return self.model.posterior(self.parameters, x, **columns)

    def explain(self) -> Any:
        """Which E-step and M-step a declared model got for these data; see `DeclaredModel.explain`."""
        return self.model.explain(parameters=self.parameters)

    def certify(self, **options: Any) -> Any:
        """What the point where the fit ended is, and how far the limit is; see `inference.certify`."""
        from .inference import certify

        return certify(self, **options)

    def report(self, path: Any, **options: Any) -> Any:
        """Write a page of HTML that shows what EM did here; see `report.write_report`."""
        from .report import write_report

        return write_report(self, path, **options)

    def standard_errors(self, method: str = "oakes", **options: Any) -> Any:
        """Standard errors of the estimates, and why some have none; see `inference.standard_errors`."""
        from .inference import standard_errors

        return standard_errors(self, method, **options)

    def summary(self, **options: Any) -> Any:
        """What the fit found, as text, HTML or LaTeX, with standard errors on demand; see `summarizing.summary`."""
        from .summarizing import summary

        return summary(self, **options)

    @property
    def aic(self) -> float:
        """-2 ℓ + 2 p (Akaike 1974); smaller is better."""
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """-2 ℓ + p log n (Schwarz 1978); smaller is better.

        n is the sum of the weights, or, of a chain, whose unit is a whole sequence, the number of rows.
        """
        from math import log

        chained = getattr(getattr(self.model, "latent", None), "per_group", False)
        return -2 * self.log_likelihood + self.n_parameters * log(self.n_rows if chained else self.expectation.weight)


def result_of(fitted: Any) -> EMResult:
    """The result of a fitted estimator, or the result itself.

    Raises
    ------
    ParameterError
        It is neither.
    """
    result = getattr(fitted, "result_", fitted)
    if isinstance(result, EMResult):
        return result
    raise ParameterError(f"expected a fitted estimator or an EMResult, got {type(fitted).__name__}; fit it first")
