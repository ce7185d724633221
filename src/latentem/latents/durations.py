"""How many rows a state lasts, d = 1 … D: tabulated, or Poisson or negative binomial beyond the first row.

All are distributions on 1 … D that add to one.  Stays that ended count by p(d), those cut off by P(duration ≥ d), so
Q = Σ n_d log p(d) + Σ c_d log P(≥ d) for each state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from .._typing import FloatArray
from ..kernels.newton import maximize_twice_differentiable
from ..kernels.semi_markov import hazards, sums_from
from ..kernels.simplex import expected_log_simplex, simplex_score
from ..parameters import Parameters, Positive, Simplex, parameter

LARGEST_MEAN, LARGEST_SIZE = 1e8, 1e6
SMALLEST_MEAN, SMALLEST_SIZE = 1e-8, 1e-3


@dataclass(frozen=True)
class FreeDurations(Parameters):
    """Probabilities of the durations 1 … D, shape (K, D)."""

    probabilities: FloatArray = parameter(Simplex())


@dataclass(frozen=True)
class PoissonDurations(Parameters):
    """Means λ (K,) of the Poisson distributions of duration - 1, before they are cut off at D."""

    means: FloatArray = parameter(Positive())


@dataclass(frozen=True)
class NegativeBinomialDurations(Parameters):
    """Means μ and sizes s (K,) of the negative binomial distributions of duration - 1, before they are cut off at D."""

    means: FloatArray = parameter(Positive())
    sizes: FloatArray = parameter(Positive())


class Durations(ABC):
    """One kind of distribution of durations up to D for each of K states."""

    @abstractmethod
    def start(self, n_states: int, longest: int) -> Any:
        """Parameters equal for all states."""

    @abstractmethod
    def table(self, params: Any, longest: int) -> FloatArray:
        """p_k(d), (K, D)."""

    @abstractmethod
    def maximize(self, ended: FloatArray, censored: FloatArray, params: Any) -> Any:
        """argmax of Q given stays that ended and stays cut off, (K, D) each; states without any keep theirs."""

    @abstractmethod
    def score(self, ended: FloatArray, censored: FloatArray, params: Any) -> FloatArray:
        """∇Q in the unconstrained coordinates."""

    @abstractmethod
    def pseudo_counts(self, concentration: float, n_states: int, longest: int) -> FloatArray:
        """Stays (K, D) that a prior of this concentration adds."""

    def findings(self, params: Any) -> list[tuple[int, str]]:
        """What a user should know of these estimates: (state, sentence)."""
        return []

    def expected_log_density(self, ended: FloatArray, censored: FloatArray, params: Any) -> float:
        """Q."""
        probabilities = self.table(params, ended.shape[1])
        beyond = sums_from(probabilities)
        return expected_log_simplex(ended, probabilities) + expected_log_simplex(censored, beyond)


class Free(Durations):
    """A probability for each duration.

    The M-step is in closed form, the product-limit estimate (Kaplan and Meier 1958): with n_d stays that ended after d
    rows and m_d that went beyond, h(d) = n_d / (n_d + m_d).
    """

    def start(self, n_states: int, longest: int) -> FreeDurations:
        return FreeDurations(np.full((n_states, longest), 1.0 / longest))

    def table(self, params: FreeDurations, longest: int) -> FloatArray:
        return params.probabilities

    def maximize(self, ended: FloatArray, censored: FloatArray, params: FreeDurations) -> FreeDurations:
        either = ended + censored
        beyond = sums_from(either) - either
        at_risk = ended + beyond
        current = hazards(params.probabilities)[0]
        rate = np.where(at_risk > 0, ended / np.where(at_risk > 0, at_risk, 1.0), current)
        rate[:, -1] = 1.0
        lasting = np.cumprod(np.concatenate([np.ones((len(rate), 1)), 1.0 - rate[:, :-1]], axis=1), axis=1)
        probabilities = rate * lasting
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        seen = either.sum(axis=1, keepdims=True) > 0
        return FreeDurations(np.where(seen, probabilities, params.probabilities))

    def score(self, ended: FloatArray, censored: FloatArray, params: FreeDurations) -> FloatArray:
        return simplex_score(_completed(ended, censored, params.probabilities), params.probabilities)

    def pseudo_counts(self, concentration: float, n_states: int, longest: int) -> FloatArray:
        return np.full((n_states, longest), concentration)


class _Parametric(Durations):
    """log p(d) = f(d; v) - log Σ exp f, with v the logarithms of a state's parameters; M-step by Newton's method."""

    @abstractmethod
    def terms(self, v: FloatArray, longest: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """f (D,), its gradient (D, p) and its Hessian (D, p, p) in v."""

    @property
    @abstractmethod
    def bounds(self) -> FloatArray:
        """(p, 2): within which v is held."""

    @abstractmethod
    def _params(self, v: FloatArray) -> Any:
        """Parameters of all states from their logarithms (K, p)."""

    def table(self, params: Any, longest: int) -> FloatArray:
        return np.stack([_normalized(self.terms(v, longest)[0]) for v in self._logs(params)])

    def maximize(self, ended: FloatArray, censored: FloatArray, params: Any) -> Any:
        here = self._logs(params)
        seen = (ended + censored).sum(axis=1) > 0
        if not seen.any():
            return params
        each = zip(ended, censored, here, seen, strict=True)
        return self._params(np.stack([self._best(n, c, v) if used else v for n, c, v, used in each]))

    def score(self, ended: FloatArray, censored: FloatArray, params: Any) -> FloatArray:
        slopes = [
            _derivatives(*self.terms(v, ended.shape[1]), n, c)[1]
            for n, c, v in zip(ended, censored, self._logs(params), strict=True)
        ]
        return np.ravel(np.stack(slopes, axis=1))

    def pseudo_counts(self, concentration: float, n_states: int, longest: int) -> FloatArray:
        """None: equal counts of all durations would pull the means towards D / 2."""
        return np.zeros((n_states, longest))

    def _best(self, ended: FloatArray, censored: FloatArray, v: FloatArray) -> FloatArray:
        low, high = self.bounds[:, 0], self.bounds[:, 1]

        def derivatives(at: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            if np.any(at < low) or np.any(at > high):
                return -np.inf, np.zeros_like(at), np.zeros((len(at), len(at)))
            return _derivatives(*self.terms(at, len(ended)), ended, censored)

        return maximize_twice_differentiable(derivatives, np.clip(v, low, high))

    def _logs(self, params: Any) -> FloatArray:
        """(K, p)."""
        return np.log(np.stack(list(params.arrays().values()), axis=-1))


class Poisson(_Parametric):
    """duration - 1 ~ Poisson(λ), cut off at D: p(d) ∝ λ^(d-1) / (d-1)!."""

    def start(self, n_states: int, longest: int) -> PoissonDurations:
        return PoissonDurations(np.full(n_states, max(0.25 * (longest - 1), 0.5)))

    @property
    def bounds(self) -> FloatArray:
        return np.log([[SMALLEST_MEAN, LARGEST_MEAN]])

    def terms(self, v: FloatArray, longest: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        beyond = np.arange(float(longest))
        return beyond * v[0] - gammaln(beyond + 1), beyond[:, None], np.zeros((longest, 1, 1))

    def _params(self, v: FloatArray) -> PoissonDurations:
        return PoissonDurations(np.exp(v[:, 0]))


class NegativeBinomial(_Parametric):
    """duration - 1 ~ negative binomial with mean μ and size s, cut off at D; s = 1 is the geometric one."""

    def start(self, n_states: int, longest: int) -> NegativeBinomialDurations:
        return NegativeBinomialDurations(np.full(n_states, max(0.25 * (longest - 1), 0.5)), np.full(n_states, 2.0))

    @property
    def bounds(self) -> FloatArray:
        return np.log([[SMALLEST_MEAN, LARGEST_MEAN], [SMALLEST_SIZE, LARGEST_SIZE]])

    def terms(self, v: FloatArray, longest: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """f = log Γ(d-1+s) - log Γ(s) - log (d-1)! + (d-1) log(μ / (s + μ)), what does not depend on d left out."""
        beyond, size = np.arange(float(longest)), np.exp(v[1])
        share = 1.0 / (1.0 + np.exp(v[0] - v[1]))  # s / (s + μ)
        f = gammaln(beyond + size) - gammaln(size) - gammaln(beyond + 1) + beyond * np.log1p(-share)
        excess = digamma(beyond + size) - digamma(size)
        gradient = np.stack([beyond * share, size * excess - beyond * share], axis=-1)
        bend = beyond * share * (1 - share)
        own = size * excess + size**2 * (polygamma(1, beyond + size) - polygamma(1, size)) - bend
        return f, gradient, np.stack([-bend, bend, bend, own], axis=-1).reshape(longest, 2, 2)

    def findings(self, params: NegativeBinomialDurations) -> list[tuple[int, str]]:
        text = "its durations spread no more than Poisson ones: their size is held at {:g}; use durations='poisson'"
        return [(int(k), text.format(LARGEST_SIZE)) for k in np.flatnonzero(params.sizes > 0.99 * LARGEST_SIZE)]

    def _params(self, v: FloatArray) -> NegativeBinomialDurations:
        return NegativeBinomialDurations(np.exp(v[:, 0]), np.exp(v[:, 1]))


KINDS: dict[str, Durations] = {"free": Free(), "poisson": Poisson(), "negative-binomial": NegativeBinomial()}


def _normalized(f: FloatArray) -> FloatArray:
    odds = np.exp(f - f.max())
    return np.asarray(odds / odds.sum())


def _completed(ended: FloatArray, censored: FloatArray, probabilities: FloatArray) -> FloatArray:
    """n_e + p(e) Σ_{d ≤ e} c_d / P(≥ d): the stays that ended, and how those cut off are expected to."""
    beyond = sums_from(probabilities)
    shares = np.where(beyond > 0, censored / np.where(beyond > 0, beyond, 1.0), 0.0)
    return np.asarray(ended + probabilities * np.cumsum(shares, axis=-1))


def _derivatives(
    f: FloatArray, gradient: FloatArray, hessian: FloatArray, ended: FloatArray, censored: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """Q of one state with its gradient and Hessian: moments of the slopes of f under p, and under p given ≥ d."""
    p = _normalized(f)
    value = expected_log_simplex(ended, p) + expected_log_simplex(censored, sums_from(p))
    completed, total = _completed(ended, censored, p), float(ended.sum() + censored.sum())
    mean = p @ gradient
    slope = completed @ gradient - total * mean
    outer = gradient[:, :, None] * gradient[:, None, :]
    bend = np.tensordot(completed - total * p, hessian, 1)
    bend -= total * (np.tensordot(p, outer, 1) - np.outer(mean, mean))
    beyond = sums_from(p)
    used = np.flatnonzero((censored > 0) & (beyond > 0))
    first = np.cumsum((p[:, None] * gradient)[::-1], axis=0)[::-1][used] / beyond[used, None]
    second = np.cumsum((p[:, None, None] * outer)[::-1], axis=0)[::-1][used] / beyond[used, None, None]
    bend += np.tensordot(censored[used], second - first[:, :, None] * first[:, None, :], 1)
    return value, slope, bend
