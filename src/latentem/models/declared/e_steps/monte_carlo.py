"""Monte Carlo EM: the posterior of z by importance sampling, with more draws as the fit goes on.

For each unit and state k, draws v of the continuous coordinates (on an unbounded scale) come from a mixture q of a
normal and a heavy-tailed t at the mode of p(x, k, v), and at the mode opposite to it if there is one, with its
curvature.  With M draws a state,

    p̂(x; θ) = Σₖ (1/M) Σⱼ p(x, k, vⱼ; θ) / q(vⱼ),        weight of (k, vⱼ) = p(x, k, vⱼ; θ) / (M q(vⱼ) p̂(x; θ)).

At first the modes follow θ, so that far starts do no harm; the random numbers stay the same, and the log-likelihood is
a smooth function of θ, whose gradient is that of Q only up to simulation error.  Once that error is all that steps
gain, the fit goes on from there with four times the draws, as long as simulation error in an EM update is not small
beside the standard errors (Wei and Tanner 1990; Booth and Hobert 1999; Caffo, Jank and Jones 2005).  With enough draws
the modes are *anchored*: they stay where they are, the draws are then the same for all θ, and EM on them is exact EM
for Σ log p̂, which never falls; so that the end of the fit is sharp.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...._typing import FloatArray
from ....data import Batch
from ..compiled import Compiled, Values
from ..parameters import DeclaredParameters
from .draws import REPLICATES, SMALLEST_DRAWS, rounded_draws
from .points import EStep, Points
from .sampling import Proposal, Target
from .units import Units

# Simulation error of an EM update, in standard errors of the complete data (root mean square), that is small enough;
# and that of the log-likelihood of a pool of the data.
UPDATE_TARGET, LIKELIHOOD_TARGET = 0.03, 0.2
# The standard error of that log-likelihood with which a fit may begin.
COARSEST = 0.5
# Repeated E-steps that tell the error of an update, of about so many points each.
REPEATS, REPEATED_POINTS = 6, 60_000
LARGEST_DRAWS, LARGEST_POINTS = SMALLEST_DRAWS * 2**7, 2_000_000
MOST_ROUNDS = 12
# An effective sample size below this is told.
FEW_EFFECTIVE = 20.0
# How much further the modes may let an update err than fresh ones would.
STALE = 1.5
# Share of the simulation error below which gains count as none once the modes are anchored.
ANCHORED = 0.01


@dataclass(frozen=True)
class MonteCarlo(EStep):
    """Importance sampling about the mode of each unit's posterior.

    Attributes
    ----------
    draws : int
        For each unit and state; rounded up to 80 · 2ʲ.
    seed : int
        Of the random numbers, which belong to units: the same for every executor and division into chunks.
    units : int
        Units in the pool of data that the E-step was prepared for; tells how far the log-likelihood may fall in a step.
    rounds : int
        How often the E-step was refined.
    anchor : tuple of arrays, or None
        The θ whose modes the draws are about; None: the current one.
    """

    draws: int = SMALLEST_DRAWS
    seed: int = 0
    units: int = 1
    rounds: int = 0
    anchor: Values | None = field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> str:
        return "Monte Carlo (importance sampling about the mode of each unit's posterior)"

    @property
    def approximation(self) -> str:
        return (
            f"the posterior of z is simulated, {rounded_draws(self.draws)} draws for each unit and state; "
            "the log-likelihood has a Monte Carlo standard error"
        )

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """See `EStep.points`.

        The log-likelihood is that of a mean of draws: on average it lies below by half of `variance`, unit by unit.
        """
        target = Target.of(functions, theta, x, batch)
        proposal = Proposal.of(target if self.anchor is None else target.at(self.anchor))
        n, k, draws = len(target.units), target.units.n_states, rounded_draws(self.draws)
        v, log_density = proposal.draw(self.seed, target.keys, draws)
        joint = target.joint(np.repeat(np.arange(n), k * draws), v.reshape(n * k * draws, -1))
        label = np.tile(np.repeat(np.arange(k), draws), n)
        log_ratio = joint.total[label, np.arange(len(label))].reshape(n, k, draws) - log_density
        shares, log_likelihood, variance = _normalized(_imposed(log_ratio, target.known))
        weights = np.zeros_like(joint.values)
        weights[np.repeat(label, joint.counts), np.arange(len(joint.rows))] = np.repeat(shares.ravel(), joint.counts)
        weights_of_units = batch.unit_weights(functions.declaration.per_group)
        noise = self._noise(len(theta_vector(functions, theta)), float(weights_of_units**2 @ variance))
        return Points(joint.rows, joint.u, weights, joint.values, log_likelihood, noise, variance)

    def prepared(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> MonteCarlo:
        """For a pool of data like this one, with draws enough that EM does not climb the noise of its simulation."""
        ready = replace(self, units=len(Units.of(functions, theta, x, batch)))
        most = self._most(functions, x)
        while 4 * rounded_draws(ready.draws) <= most and ready.error(functions, theta, x, batch) > COARSEST:
            ready = replace(ready, draws=4 * rounded_draws(ready.draws))
        return ready

    def refined(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> MonteCarlo | None:
        """With four times the draws while simulation errs too much; else anchored at θ; None where all is well."""
        if self.rounds >= MOST_ROUNDS:
            return None
        fresh = replace(self, anchor=None, rounds=self.rounds + 1)
        more = 4 * rounded_draws(self.draws)
        if more <= self._most(functions, x) and not fresh._serves(functions, theta, x, batch):
            return replace(fresh, draws=more)
        if self.anchor is not None:
            usual = max(UPDATE_TARGET, STALE * fresh.update_error(functions, theta, x, batch))
            if self.update_error(functions, theta, x, batch) <= usual:
                return None
        return replace(fresh, anchor=theta)

    def update_error(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> float:
        """Simulation error of an EM update, in standard errors of the complete data.

        The scores S of Q from E-steps with other random numbers scatter with covariance V; with I the information of
        the complete data and p parameters this is (tr(I⁻¹ V) / p)^½.  It depends on the number of draws, not on that of
        the data.
        """
        vector = theta_vector(functions, theta)
        some, part = self._some(functions, x, batch)
        parts = [
            _score(functions, vector, some, replace(self, seed=self.seed + 1 + i).points(functions, theta, some, part))
            for i in range(REPEATS)
        ]
        scores = np.array([score for score, _ in parts])
        scatter = scores - scores.mean(axis=0)
        sizes, axes = np.linalg.eigh(-np.mean([hessian for _, hessian in parts], axis=0))
        seen = sizes > 1e-10 * np.abs(sizes).max(initial=0)
        squares = np.sum((scatter @ axes[:, seen]) ** 2 / sizes[seen]) / (REPEATS - 1)
        return float(np.sqrt(squares / max(1, len(vector))))

    def seeded(self, seed: int) -> MonteCarlo:
        return replace(self, seed=seed)

    def shortcomings(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> str | None:
        """What is wrong with the draws at θ: units whose weights rest on few of them; None where all is well."""
        points = self.points(functions, theta, x, batch)
        target = Target.of(functions, theta, x, batch)
        nodes = rounded_draws(self.draws) * target.units.n_states
        first = np.concatenate([[0], np.cumsum(target.units.lengths * nodes)[:-1]])
        squares = np.add.reduceat(np.sum(points.weights**2, axis=0), first) / target.units.lengths
        effective = 1 / np.maximum(squares, 1e-300)
        few = np.flatnonzero((effective < FEW_EFFECTIVE) & np.isfinite(points.log_likelihood))
        if not len(few):
            return None
        worst = few[np.argmin(effective[few])]
        return (
            f"the posterior of z is not like its approximation at the mode: in {len(few)} of {len(target.units)} units "
            f"fewer than {FEW_EFFECTIVE:g} of {nodes} draws carry the weight (at row {target.keys[worst]}: "
            f"{effective[worst]:.1f}); standard errors of simulation may be too small"
        )

    def _noise(self, n_parameters: int, variance: float) -> float:
        """How far the simulated log-likelihood may fall in an EM step, and what gain cannot be told from none.

        Near the limit a step of c standard errors gains c²/2 for each parameter, and may lose by simulation some c s,
        with s² the mean variance of the units' log-likelihoods: all gains below s² for each parameter may turn.  With
        the modes anchored nothing falls, and a hundredth of that keeps the fit off the ridges that simulation makes.
        """
        share = 1.0 if self.anchor is None else ANCHORED
        return share * n_parameters * variance / self.units

    def error(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> float:
        """Monte Carlo standard error of the log-likelihood of these rows."""
        variance = self.points(functions, theta, x, batch).variance
        assert variance is not None
        return float(np.sqrt(batch.unit_weights(functions.declaration.per_group) ** 2 @ variance))

    def _serves(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> bool:
        enough = self.error(functions, theta, x, batch) <= LIKELIHOOD_TARGET
        return enough and self.update_error(functions, theta, x, batch) <= UPDATE_TARGET

    def _most(self, functions: Compiled, x: FloatArray) -> int:
        """Draws that keep the points of a pool of this size within memory."""
        return min(LARGEST_DRAWS, LARGEST_POINTS // (len(x) * functions.space.n_states))

    def _some(self, functions: Compiled, x: FloatArray, batch: Batch) -> tuple[FloatArray, Batch]:
        """As many of the first units as make enough points."""
        per_group = functions.declaration.per_group
        ends = np.asarray(batch.group_offsets[1:]) if per_group else np.arange(1, len(x) + 1)
        points = ends * rounded_draws(self.draws) * functions.space.n_states
        units = int(np.clip(np.searchsorted(points, REPEATED_POINTS), min(20, len(ends)), len(ends)))
        part = batch.groups_between(0, units) if per_group else batch.rows_between(0, units)
        return x[: len(part)], part


def theta_vector(functions: Compiled, theta: Values) -> FloatArray:
    """θ on the unconstrained scale."""
    return DeclaredParameters(functions.declaration.domains, theta).flatten()


def _imposed(log_ratio: FloatArray, known: Any) -> FloatArray:
    """Log ratios (U, K, M) with every state but the known one impossible."""
    if known is not None:
        others = (known[:, None] >= 0) & (np.arange(log_ratio.shape[1]) != known[:, None])
        log_ratio[others] = -np.inf
    return log_ratio


def _normalized(log_ratio: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Weights (U, K, M), log-likelihoods (U,) and their Monte Carlo variances (U,), from log p(x, k, v) - log q(v).

    Replicates are independent: with shares sᵣ of p̂ that have mean 1, the variance of log p̂ is about Var(s)/8.
    """
    n, k, draws = log_ratio.shape
    peak = log_ratio.max(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = np.exp(log_ratio - peak[:, None, None])
        total = ratio.sum(axis=(1, 2))
        log_likelihood = np.where(np.isfinite(peak), peak + np.log(total / draws), peak)
        shares = ratio / total[:, None, None]
    shares[~np.isfinite(log_likelihood)] = 0.0
    by_replicate = shares.reshape(n, k, REPLICATES, -1).sum(axis=(1, 3)) * REPLICATES
    return shares, log_likelihood, by_replicate.var(axis=1, ddof=1) / REPLICATES


def _score(
    functions: Compiled, vector: FloatArray, x: FloatArray, points: Points
) -> tuple[FloatArray, FloatArray]:
    """Gradient and Hessian of Q in the unconstrained θ."""
    labels, at = np.nonzero(points.weights > 1e-12)
    weights = points.weights[labels, at]
    return functions.derivatives(vector, x[points.rows[at]], points.u[at], labels, weights)[1:]
