"""Adaptive quadrature over u in up to three dimensions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from ...._typing import Array, FloatArray
from ....data import Batch
from ....kernels.normalize import normalize_states
from ..compiled import Compiled, Values
from .continuous import AdaptiveQuadrature
from .draws import SMALLEST_DRAWS
from .enumeration import impose
from .monte_carlo import LARGEST_POINTS, MonteCarlo
from .pieces import Pieces
from .points import EStep, Points, known_states
from .rules import COUNTS, MOST_HERMITE, Rule, other_rules, product_rule
from .units import Nodes, Units, joined, refuse_improper

# When a count of nodes is fine enough, where a fit starts and where it has ended: the largest change of a unit's
# log-likelihood with the next count, and the mean of the errors that the rule itself estimates.  The latter are what
# the loop takes for the noise of the objective: it should be far below any tolerance, also of many units.
AT_START, AT_END = (1e-9, 1e-11), (1e-8, 1e-10)
# How far rules as fine may differ in the log-likelihood of a unit, by the number of dimensions.  In one there is a
# method that needs no smoothness; in more there is simulation, whose errors are larger by far.
COARSEST = {1: 1e-6, 2: 1e-5, 3: 1e-5}
# Draws for a posterior unlike a normal one, where so many are feasible: of fewer the variance is not to be trusted.
ROUGH_DRAWS = 1280
# An error of the log-likelihood of all rows that is told.
TOLD = 1e-4
# A log-likelihood is not known better than to this share.
ROUNDING = 1e4 * float(np.finfo(float).eps)
# What rows times nodes times states may come to among the rows prepared for; a batch may have several times as many.
MOST_POINTS = 5_000_000
# Nodes of a share of their unit's posterior below this tell nothing.
NEGLIGIBLE = 1e-17
# A density that is not a number counts as 0 where a normal one has fallen to exp(-32), and is an error elsewhere.
FAR = 64.0


@dataclass(frozen=True)
class Quadrature(EStep):
    """E_q[f] = Σ_j p_j f(u_j) with nodes of each unit's (and state's) own.

    Gauss-Hermite nodes, from some number of them on equidistant ones, are laid about the mode of each log joint in
    coordinates in which it looks normal (Naylor and Smith 1982; Liu and Pierce 1994; see `Frames`).

    Attributes
    ----------
    count : int
        Nodes a dimension.
    error : float or None
        Estimated error of a unit's log-likelihood, on average, where the count was chosen; None: nothing was tried.
    two_modes : bool
        Whether a log joint may have two modes.
    """

    count: int
    error: float | None = None
    two_modes: bool = True

    @property
    def kind(self) -> str:
        rule = "Gauss-Hermite" if self.count <= MOST_HERMITE else "trapezoidal"
        return f"adaptive {rule} quadrature over z, {self.count} nodes a dimension"

    @property
    def approximation(self) -> str | None:
        told = "" if self.error is None else f": about {self.error:.0e} off in the log-likelihood of a row or group"
        return f"integrals over z are sums over {self.count} nodes a dimension{told}"

    def points(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> Points:
        """The posterior, see `EStep.points`.

        Raises
        ------
        DataError
            The density of a unit cannot be integrated over z; its row is named.
        """
        integrals = _Integrals.of(functions, theta, x, batch, self.two_modes)
        refuse_improper(batch, integrals.units, integrals.endless)
        rule = product_rule(self.count, functions.space.dimension)
        parts, log_likelihoods, errors = [], [], []
        for portion in integrals.portions(rule):
            log_likelihood, error, weights = integrals.evaluate(portion, rule)
            parts.append(portion.nodes.weighted(np.where(weights > NEGLIGIBLE / len(rule), weights, 0.0)))
            log_likelihoods.append(log_likelihood)
            errors.append(error)
        # A rule that had to be left too coarse may be off by more than it sees itself, as at kinks.
        least = 0.0 if self.error is None or self.error <= AT_START[0] else self.error
        noise = batch.unit_weights(integrals.units.per_group) @ np.maximum(np.concatenate(errors), least)
        return joined(parts, np.concatenate(log_likelihoods), float(noise))

    def prepared(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep:
        """With the smallest number of nodes that is fine enough at these θ; another method where no number is."""
        integrals = _Integrals.of(functions, theta, x, batch, two_modes=True)
        found = _fine_enough(integrals, 0, *AT_START)
        if found is None:
            return _without_frames(functions, theta, x, batch)
        return Quadrature(*found, integrals.two_modes)

    def refined(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep | None:
        """With more nodes, with second modes, or another method, where these turn out to be needed."""
        integrals = _Integrals.of(functions, theta, x, batch, two_modes=True)
        found = _fine_enough(integrals, self.count, *AT_END)
        if found is None:
            return _without_frames(functions, theta, x, batch)
        count, error = found
        two_modes = self.two_modes or integrals.two_modes
        if count <= self.count and two_modes == self.two_modes:
            return None
        return Quadrature(count, error, two_modes)

    def shortcomings(self, functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> str | None:
        """How far off the log-likelihood of these rows is, where it is by more than `TOLD`."""
        integrals = _Integrals.of(functions, theta, x, batch, self.two_modes)
        per_group = integrals.units.per_group
        log_likelihood = integrals.log_likelihood(product_rule(self.count, functions.space.dimension))[0]
        weights = batch.unit_weights(per_group)
        off = np.where(weights > 0, weights * integrals.disagreement(self.count, log_likelihood), 0.0)
        if not off.sum() > TOLD:
            return None
        worst = int(off.argmax())
        instead = "declare z as em.Continuous, or simulate" if functions.space.dimension == 1 else "simulate"
        return (
            f"other nodes for the quadrature over z move the log-likelihood of {len(off)} "
            f"{'groups' if per_group else 'rows'} by {off.sum():.1g}, most of all (by {off[worst]:.1g}) that at row "
            f"{batch.row_of_unit(worst, per_group)}: the posterior of z is too rough for these nodes, as where the log "
            f"density has kinks, jumps, or ends; {instead} (e_step='monte-carlo')"
        )


def _without_frames(functions: Compiled, theta: Values, x: FloatArray, batch: Batch) -> EStep:
    """The E-step for log joints that no frame makes look like a smooth, normal one."""
    if functions.space.dimension == 1:
        return AdaptiveQuadrature()
    feasible = LARGEST_POINTS // (len(x) * functions.space.n_states)
    draws = max(SMALLEST_DRAWS, min(ROUGH_DRAWS, feasible))
    return MonteCarlo(draws).prepared(functions, theta, x, batch)


def _fine_enough(integrals: _Integrals, least: int, change: float, error: float) -> tuple[int, float] | None:
    """The first count of nodes, from `least` on, from which more change nothing, and its estimated error.

    More may change no unit's log-likelihood by more than `change`, the estimated errors may be `error` on average, and
    other rules must agree to `COARSEST`.  Where no count is that fine, it is the largest that there is, if other rules
    agree with that; None where they do not.
    """
    d = integrals.units.dimension
    rows = len(integrals.units.x) * integrals.units.n_states
    counts = [n for n in COUNTS[d] if n >= least and (rows * n**d <= MOST_POINTS or n == COUNTS[d][0])] or [least]
    log_likelihood, estimate = integrals.log_likelihood(product_rule(counts[0], d))
    changes = np.zeros(1)
    for count, finer in pairwise(counts):
        before = log_likelihood, float(estimate.mean())
        log_likelihood, estimate = integrals.log_likelihood(product_rule(finer, d))
        changes = _apart(before[0], log_likelihood)
        if np.all(changes <= change) and before[1] <= error and integrals.agreed(count, before[0]):
            return count, max(before[1], float(changes.mean()))
    off = integrals.disagreement(counts[-1], log_likelihood)
    told = max(float(estimate.mean()), float(off.mean()))
    if max(told, float(off.max())) > COARSEST[d]:
        return None
    return counts[-1], max(told, float(np.where(np.isfinite(changes), changes, 0.0).mean()))


def _apart(one: FloatArray, other: FloatArray) -> FloatArray:
    """By how much log-likelihoods differ beyond rounding: infinitely where only one of the two is finite."""
    known = np.isfinite(one) & np.isfinite(other)
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other) - ROUNDING * np.abs(one)
    neither = ~np.isfinite(one) & ~np.isfinite(other)
    return np.where(known, np.maximum(apart, 0.0), np.where(neither, 0.0, np.inf))


@dataclass(frozen=True)
class _Portion:
    """Some of the units with the nodes of their pieces.

    Attributes
    ----------
    units : (g,) int
    problems : (m,) int
        Which of the K · g problems each piece is of.
    nodes : Nodes
    terms : (m, J)
        Logs of the terms of the integrals.
    """

    units: Array
    problems: Array
    nodes: Nodes
    terms: FloatArray


@dataclass(frozen=True)
class _Integrals:
    """The integrals over u of the joint densities of all units and states of a batch.

    Attributes
    ----------
    units : Units
    pieces : Pieces
    known : (units,) int or None
        Known states, -1 where unknown.
    """

    units: Units
    pieces: Pieces
    known: Array | None

    @classmethod
    def of(cls, functions: Compiled, theta: Values, x: FloatArray, batch: Batch, two_modes: bool) -> Self:
        """Modes and frames of a batch at θ."""
        units = Units.of(functions, theta, x, batch)
        return cls(units, Pieces.of(units, two_modes), known_states(batch, units.per_group))

    @property
    def two_modes(self) -> bool:
        """Whether some log joint has been found to have two modes."""
        return bool(self.pieces.has_rival.any())

    @property
    def endless(self) -> Array:
        """Units whose density cannot be integrated, in a state that they may be in."""
        joint = np.full((self.units.n_states, len(self.units)), -np.inf)
        endless = self.pieces.frames.endless
        joint[self.pieces.states[endless], self.pieces.units[endless]] = np.inf
        impose(self.known, joint)
        return np.asarray(np.isposinf(joint).any(axis=0))

    def portions(self, rule: Rule) -> Iterator[_Portion]:
        """The integrands at the nodes of a rule."""
        far = np.sum(rule.t**2, axis=1) >= FAR
        for slab in self.units.slabs(len(rule)):
            own = self.pieces.taken(
                np.flatnonzero((self.pieces.units >= slab[0]) & (self.pieces.units <= slab[-1]))
            )
            u, log_slope = own.frames.nodes(rule.t)
            nodes = Nodes.at(self.units, own.units, own.states, u)
            joint = np.where(far & np.isnan(nodes.joint), -np.inf, nodes.joint)
            terms = joint + own.log_share(u) + log_slope + rule.log_weights
            yield _Portion(slab, own.states * len(slab) + own.units - slab[0], nodes, terms)

    def evaluate(self, portion: _Portion, rule: Rule) -> tuple[FloatArray, FloatArray, FloatArray]:
        """log p(x) of some units, estimates of its errors, and the posterior on the nodes (m, J)."""
        shares = np.ascontiguousarray(portion.terms.T)
        of_pieces, k, at = normalize_states(shares), self.units.n_states, portion.problems
        shares = np.where(np.isfinite(shares), shares, 0.0).T
        joint = np.full(k * len(portion.units), -np.inf)
        with np.errstate(invalid="ignore"):
            np.logaddexp.at(joint, at, of_pieces)
            shares *= np.nan_to_num(np.exp(of_pieces - joint[at]))[:, None]
        posterior = joint.reshape(k, -1)
        impose(None if self.known is None else self.known[portion.units], posterior)
        log_likelihood = normalize_states(posterior)
        posterior[:, ~np.isfinite(log_likelihood)] = 0.0
        shares *= posterior.reshape(-1, 1)[at]
        return log_likelihood, _errors(rule, shares, at % len(portion.units), len(portion.units)), shares

    def log_likelihood(self, rule: Rule) -> tuple[FloatArray, FloatArray]:
        """log p(x) of the units, and estimates of its errors."""
        parts = [self.evaluate(portion, rule)[:2] for portion in self.portions(rule)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def agreed(self, count: int, log_likelihood: FloatArray) -> bool:
        """Whether another rule of so many nodes a dimension finds the same log-likelihoods."""
        d = self.units.dimension
        return bool(np.all(_apart(log_likelihood, self.log_likelihood(other_rules(count, d)[0])[0]) <= COARSEST[d]))

    def disagreement(self, count: int, log_likelihood: FloatArray) -> FloatArray:
        """The largest differences (units,) from what other rules of so many nodes a dimension find."""
        others = (self.log_likelihood(rule)[0] for rule in other_rules(count, self.units.dimension))
        return np.asarray(np.max([_apart(log_likelihood, other) for other in others], axis=0))


def _errors(rule: Rule, shares: FloatArray, units: Array, n: int) -> FloatArray:
    """Estimated errors (n,) of log-likelihoods from the posteriors of their units on the nodes (m, J)."""
    whole = shares.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Squares of the detectors, since these see the error of a rule of half the order.
        own = shares / whole[:, None]
        seen = ((own @ rule.detectors) ** 2).max(axis=1) + own @ rule.edge
        relative = np.where(whole > 0, seen, 0.0)
    return np.asarray(np.bincount(units, whole * np.minimum(relative, 1.0), n), float)
