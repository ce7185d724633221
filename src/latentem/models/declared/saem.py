"""Stochastic approximation EM for declared models: Metropolis-Hastings chains of z for each unit.

Each unit has a few chains, which go on from iteration to iteration (Kuhn and Lavielle 2004).  A sweep proposes a state
and coordinates from the approximations at the modes, independently of where the chain is, and then random steps with
the modes' curvature; at last the state is drawn given the coordinates.  The statistics of a draw average over the
states exactly.  Random numbers belong to units and iterations: executors and chunks change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...data import LARGEST_CHUNK, Batch, Source
from ...em import Executor, run
from ...errors import LatentemError
from ...kernels.newton import remembering
from ...kernels.normalize import normalize_states
from ...online import PerUnit, Simulation, Simulator, run_stochastic_approximation, stochastic_finding
from ...result import EMResult, Finding, Iteration
from ...statistics import Expectation
from .e_steps.draws import independent_draws, uniforms
from .e_steps.enumeration import impose
from .e_steps.monte_carlo import LARGEST_DRAWS, LARGEST_POINTS, MonteCarlo
from .e_steps.points import Points
from .e_steps.sampling import Proposal, Target, log_density
from .m_steps.maximize import maximize_on_pivots
from .m_steps.sufficient import Basis, NoBasis
from .model import DeclaredModel, DeclaredStatistics
from .parameters import DeclaredParameters
from .preparing import pool_of, until_fine

CHAINS, STEPS = 4, 2
# Points of the last look at the log-likelihood that a chunk may have.
POINTS_OF_CHUNK = 4 * LARGEST_POINTS
# Random numbers of a chain in one iteration come from so many streams.
STREAMS = 8
# The modes follow θ in the first iterations, and in one of ten later.
FOLLOWED, FOLLOWED_EVERY = 5, 10


class StatisticsLostError(LatentemError):
    """The statistics found at the start do not stand for the data at a later θ."""


@dataclass(frozen=True)
class Chains(PerUnit):
    """Where the chains of the units are, and the approximations that proposals come from.

    Attributes
    ----------
    position : (U,) int
        The first row of each unit in the source.
    label, v : (U, C), (U, C, d)
        State and coordinates (on the unbounded scale) of each chain.
    centre, factor, inverse, log_size, height
        See `Proposal`.
    """

    position: Array
    label: Array
    v: FloatArray
    centre: FloatArray
    factor: FloatArray
    inverse: FloatArray
    log_size: FloatArray
    height: FloatArray

    def of(self, positions: Array) -> Chains:
        """Those of adjacent units."""
        start = int(np.searchsorted(self.position, positions[0]))
        part = slice(start, start + len(positions))
        return Chains(*(getattr(self, name)[part] for name in self.__dataclass_fields__))

    @property
    def proposal(self) -> Proposal:
        return Proposal(self.centre, self.factor, self.inverse, self.log_size, self.height)


@dataclass(frozen=True)
class ChainSimulator(Simulator):
    """A declared model with sufficient statistics, and chains that draw z.

    Attributes
    ----------
    model : DeclaredModel
        Prepared for data, with a `MonteCarlo` E-step for the log-likelihood.
    seed : int
    """

    model: DeclaredModel
    seed: int = 0

    def begin(self, parameters: DeclaredParameters, batch: Batch) -> Chains:
        target = self._target(parameters, batch)
        proposal = Proposal.of(target)
        label, v, _ = _drawn(target, proposal, self.seed, 0)
        return _chains(target, batch, label, v, proposal)

    def simulate(self, parameters: DeclaredParameters, state: Chains, index: int, batch: Batch) -> Simulation:
        target = self._target(parameters, batch)
        own = state.of(batch.first_row + target.units.offsets[:-1])
        follows = index <= FOLLOWED or index % FOLLOWED_EVERY == 0
        proposal = Proposal.of(target) if follows else own.proposal
        walk = _Walk(target, proposal, self.seed, index * STREAMS)
        label, v = walk.swept(own.label, own.v)
        statistics, label = self._statistics(target, batch, v, walk.uniforms(STREAMS - 1))
        return Simulation(statistics, _chains(target, batch, label, v, proposal))

    def maximize(
        self, statistics: DeclaredStatistics, simulated: DeclaredStatistics, parameters: DeclaredParameters
    ) -> DeclaredParameters:
        if not self.model._holds(simulated, parameters):
            raise StatisticsLostError("the automatic sufficient statistics do not stand for the data at a new θ")
        start = parameters.flatten()
        q = remembering(partial(self.model._q_on_pivots, statistics))
        return parameters.unflatten(maximize_on_pivots(q, start))

    def information(self, statistics: DeclaredStatistics, parameters: DeclaredParameters) -> FloatArray:
        return -self.model._q_on_pivots(statistics, parameters.flatten())[2]

    def e_step(self, parameters: DeclaredParameters, batch: Batch) -> Expectation:
        return self.model.e_step(parameters, batch)

    def log_prior(self, parameters: DeclaredParameters) -> float:
        return self.model.log_prior(parameters)

    def variance(self, expectation: Expectation) -> float:
        return float(expectation.statistics.variance)

    def sharper(self, n_rows: int) -> ChainSimulator | None:
        estep, points = self.model.estep, min(n_rows, LARGEST_CHUNK) * self.model.declaration.space.n_states
        if not isinstance(estep, MonteCarlo) or 4 * estep.draws > min(LARGEST_DRAWS, POINTS_OF_CHUNK // points):
            return None
        return replace(self, model=replace(self.model, estep=replace(estep, draws=4 * estep.draws)))

    def _target(self, parameters: DeclaredParameters, batch: Batch) -> Target:
        functions = self.model._functions(batch)
        return Target.of(functions, parameters.values, self.model.rows(batch), batch)

    def _statistics(
        self, target: Target, batch: Batch, v: FloatArray, uniform: FloatArray
    ) -> tuple[DeclaredStatistics, Array]:
        """Statistics of the draws v (U, C, d), averaged over states; and states (U, C) drawn given v."""
        n, chains, d = v.shape
        joint = target.joint(np.repeat(np.arange(n), chains), v.reshape(-1, d))
        shares = joint.total.copy()
        impose(None if target.known is None else np.repeat(target.known, chains), shares)
        normalize_states(shares)
        shares = np.nan_to_num(shares)
        label = np.argmax(np.cumsum(shares, axis=0) >= uniform.reshape(-1) * shares.sum(axis=0), axis=0)
        weights = np.repeat(shares / chains, joint.counts, axis=1)
        points = Points(joint.rows, joint.u, weights, joint.values, np.zeros(n))
        unit_weights = batch.unit_weights(self.model.per_group)
        by_row = points.weighted(batch)
        units = target.units
        statistics = self.model._statistics(units.functions, units.x, points, by_row, unit_weights)
        return statistics, label.reshape(n, chains)


@dataclass(frozen=True)
class _Walk:
    """The sweeps of one iteration over all chains of a batch."""

    target: Target
    proposal: Proposal
    seed: int
    stream: int

    def swept(self, label: Array, v: FloatArray) -> tuple[Array, FloatArray]:
        """Chains after proposals from the approximation and random steps about where they are, in turn."""
        here = self._log_joint(label, v)
        for step in range(STEPS):
            there = _drawn(self.target, self.proposal, self.seed, self.stream + 2 * step)
            ratio = _log_density(self.proposal, label, v) - there[2]
            label, v, here = self._moved((label, v, here), there[:2], ratio, 2 * step)
            standard = independent_draws(self.seed, self.stream + 2 * step + 1, self.target.keys, CHAINS, v.shape[-1])
            length = 2.4 / np.sqrt(v.shape[-1]) * 0.3**step
            moved = v + length * np.einsum("ucij,ucj->uci", _taken(self.proposal.factor[:, :, 0], label), standard)
            label, v, here = self._moved((label, v, here), (label, moved), 0.0, 2 * step + 1)
        return label, v

    def uniforms(self, step: int) -> FloatArray:
        return uniforms(self.seed, 1 + 3 * (self.stream + step), self.target.keys, CHAINS)

    def _moved(
        self, here: tuple[Array, FloatArray, FloatArray], there: tuple[Array, FloatArray], ratio: Any, step: int
    ) -> tuple[Array, FloatArray, FloatArray]:
        label, v, value = here
        new = self._log_joint(*there)
        with np.errstate(invalid="ignore"):
            accepted = np.log(self.uniforms(step)) <= np.where(np.isfinite(value), new - value + ratio, np.inf)
        accepted &= np.isfinite(new)
        return (
            np.where(accepted, there[0], label),
            np.where(accepted[..., None], there[1], v),
            np.where(accepted, new, value),
        )

    def _log_joint(self, label: Array, v: FloatArray) -> FloatArray:
        n, chains, d = v.shape
        total = self.target.joint(np.repeat(np.arange(n), chains), v.reshape(-1, d)).total
        return np.asarray(total[label.ravel(), np.arange(n * chains)].reshape(n, chains))


def run_saem(
    model: DeclaredModel,
    source: Source,
    start: DeclaredParameters,
    *,
    executor: Executor,
    max_iter: int = 1000,
    tol: float = 1e-6,
    callbacks: Iterable[Callable[[Iteration], object]] = (),
    random_state: Any = None,
) -> EMResult:
    """Fit a prepared model by stochastic approximation EM.

    Its statistics must form a vector space, which those of an exponential family do.  Another model is fitted by Monte
    Carlo EM instead, and a finding says so.

    Parameters
    ----------
    model : DeclaredModel
        Prepared for the data.
    source : Source
    start : DeclaredParameters
    executor, max_iter, tol, callbacks
        See `run_stochastic_approximation`.
    random_state : None, int or Generator
    """
    seed = int(np.random.default_rng(random_state).integers(2**62))
    estep = model.estep if isinstance(model.estep, MonteCarlo) else MonteCarlo()
    model = replace(model, estep=replace(estep, seed=seed))
    options: dict[str, Any] = {"executor": executor, "tol": tol, "max_iter": max_iter, "callbacks": tuple(callbacks)}
    reason = "it was not prepared for data"
    if isinstance(model.basis, Basis):
        try:
            return run_stochastic_approximation(ChainSimulator(model, seed), source, start, model=model, **options)
        except StatisticsLostError as error:
            reason = str(error)
    elif isinstance(model.basis, NoBasis):
        reason = model.basis.reason
    return _instead(model, source, start, reason, options)


def _instead(
    model: DeclaredModel, source: Source, start: DeclaredParameters, reason: str, options: dict[str, Any]
) -> EMResult:
    """Monte Carlo EM, with a finding that says why."""
    def climb(finer: DeclaredModel, params: DeclaredParameters) -> EMResult:
        return run(finer, source, params, **options)

    result = until_fine(climb, climb(model, start), pool_of(source))
    told = (
        Finding(
            "saem",
            f"stochastic approximation EM needs statistics that can be averaged, and there are none: {reason}; fitted "
            "by Monte Carlo EM instead",
        ),
        stochastic_finding(result.log_likelihood, float(result.expectation.statistics.variance)),
    )
    return replace(result, findings=(*result.findings, *told))


def _chains(target: Target, batch: Batch, label: Array, v: FloatArray, proposal: Proposal) -> Chains:
    parts = (proposal.centre, proposal.factor, proposal.inverse, proposal.log_size, proposal.height)
    return Chains(batch.first_row + target.units.offsets[:-1], label, v, *parts)


def _drawn(target: Target, proposal: Proposal, seed: int, stream: int) -> tuple[Array, FloatArray, FloatArray]:
    """States (U, C) and coordinates (U, C, d) drawn from the approximation, and their log densities (U, C) there."""
    d = proposal.centre.shape[-1]
    shares = _state_shares(proposal, target.known)
    uniform = uniforms(seed, 2 + 3 * stream, target.keys, 2 * CHAINS)
    label = np.argmax(np.cumsum(shares, axis=1)[:, None, :] >= uniform[:, :CHAINS, None], axis=-1)
    mode = (uniform[:, CHAINS:, None] < 0.5).astype(int)
    standard = independent_draws(seed, 3 * stream, target.keys, CHAINS, d)
    factor = np.take_along_axis(_taken(proposal.factor, label), mode[..., None, None], axis=2)[:, :, 0]
    centre = np.take_along_axis(_taken(proposal.centre, label), mode[..., None], axis=2)[:, :, 0]
    v = centre + np.einsum("ucij,ucj->uci", factor, standard)
    return label, v, _log_density(proposal, label, v)


def _log_density(proposal: Proposal, label: Array, v: FloatArray) -> FloatArray:
    """log density of states and coordinates under the approximation, up to what is the same for all of them."""
    parts = (_taken(part, label) for part in (proposal.centre, proposal.inverse, proposal.log_size))
    return np.asarray(log_density(v, *parts) + _taken(proposal.log_evidence, label))


def _state_shares(proposal: Proposal, known: Array | None) -> FloatArray:
    """(U, K): Laplace's approximation to p(k | x)."""
    evidence = proposal.log_evidence.T.copy()
    impose(known, evidence)
    normalize_states(evidence)
    return np.asarray(np.where(np.isfinite(evidence), evidence, 1 / len(evidence)).T)


def _taken(array: FloatArray, label: Array) -> FloatArray:
    """Entries (U, C, …) of an array (U, K, …) at states (U, C)."""
    return np.asarray(array[np.arange(len(label))[:, None], label])
