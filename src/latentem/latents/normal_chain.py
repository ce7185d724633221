"""A chain of vectors with normal disturbances, whose posterior is found by Kalman smoothing.

z₁ ~ N(m, V), zₜ = A zₜ₋₁ + b + B uₜ + wₜ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form, LinearGaussianDensity
from ..errors import DataError, ParameterError
from ..kernels import kalman
from ..kernels.observations import as_numbers, as_varying_numbers
from ..model import Latent, Posterior
from ..multipliers import VarianceMultipliers
from ..patterns import HELD, Pattern, pattern_of_variances, side_by_side
from .chain_objective import density_of_start, density_of_transitions, moved_start, moved_transitions, score
from .chain_options import KnownSeries, initial_option, input_option, noise_option
from .chain_parameters import ChainLayout, NormalChainParameters, NormalChainStatistics
from .chain_posterior import ChainPosterior, statistics_of
from .chain_start import Start, ascend, root_of
from .normal import presence_of


@dataclass(frozen=True)
class NormalChain(Latent[NormalChainParameters, NormalChainStatistics]):
    """z₁ ~ N(m, V), zₜ = A zₜ₋₁ + b + B uₜ + wₜ, wₜ ~ N(0, Q), over the rows of each group.

    Entries are given as numbers (held), None (free) or names (equal where the names are).  M-step: a regression of zₜ
    on (1, uₜ, zₜ₋₁), then Q from its residuals; exact, by turns (ECM) where held or equal entries meet a full Q.  A
    coordinate whose noise is held at zero keeps its row of A and b: EM cannot move it, so give it in full.

    Attributes
    ----------
    size : int
        q.
    transition : (q, q) entries, optional
        Of A; without them all is free.  An array (n, q, q) of numbers holds one for each row of the data: that which
        leads there (the first of each group is not used).
    shift : (q,) entries, optional
        Of b; without them it is held at 0.
    noise : {"full", "diagonal", "isotropic"}, (q,) entries, or (q, q)
        Of Q.  A matrix of numbers is held; None in the rows and columns of some coordinates, and 0 elsewhere, leaves
        that block free.  An array (n, q, q) of numbers holds one for each row, as for `transition`.
    inputs : (q, m) entries, or int
        Of B, the weights of the m covariates; a number m leaves all free.
    initial : {"free", "mean", "known", "stationary", "diffuse"}, or q of the last three
        What z₁ is: N(m, V) with both estimated; with m estimated; with both held at the start's values; the stationary
        distribution of the chain, whose M-step is numerical, since it binds A and Q together; or without prior
        knowledge, exactly.  The coordinates that are stationary must not depend on others.
    initial_mean, initial_covariance : (q,), (q, q), optional
        m and V where a fit starts: 0 and I unless given.
    noise_by : column of the covariates, optional
        The covariate that multiplies Q on arrival at its row (the time since the row before, of a random walk).  It is
        above 0, or at least 0 where A, b and B are held.  A stationary start is that of the chain without it.

    Raises
    ------
    ParameterError
        Entries that do not fit.
    """

    n_coordinates: int
    transition: Any = None
    shift: Any = 0.0
    noise: Any = "full"
    inputs: Any = 0
    initial: Any = "free"
    initial_mean: Any = None
    initial_covariance: Any = None
    noise_by: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.n_coordinates, int | np.integer) or self.n_coordinates < 1:
            raise ParameterError(f"a NormalChain needs a whole number of coordinates, got {self.n_coordinates!r}")
        q = int(self.n_coordinates)
        for name in ("transition", "noise"):
            value = getattr(self, name)
            if not isinstance(value, str | Pattern | KnownSeries | None) and np.ndim(np.array(value, object)) == 3:
                object.__setattr__(self, name, KnownSeries.of(name, value, q))
        shift = np.zeros(q) if np.isscalar(self.shift) and self.shift == 0 else self.shift
        object.__setattr__(self, "shift", Pattern.of("shift", shift, (q,)))
        object.__setattr__(self, "inputs", input_option(self.inputs, q))
        if not isinstance(self.transition, KnownSeries):
            object.__setattr__(self, "transition", Pattern.of("transition", self.transition, (q, q)))
        object.__setattr__(self, "noise", noise_option(self.noise, q))
        object.__setattr__(self, "initial", initial_option(self.initial, q))
        for name, shape in (("initial_mean", (q,)), ("initial_covariance", (q, q))):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Pattern.of(name, getattr(self, name), shape))
        self._check_still_rows()
        if self.noise_by is not None:
            self._set_multiplier()
        if self.initial[0] == "mean" and np.linalg.eigvalsh(self.start().initial_covariance)[0] <= 0:
            raise ParameterError(
                "EM cannot move the mean of a start without variance: give a positive definite initial_covariance, "
                'or a start that is "diffuse"'
            )

    def _set_multiplier(self) -> None:
        if isinstance(self.noise, KnownSeries):
            raise ParameterError("noise is known for each row; noise_by has nothing to multiply then")
        may_vanish = not np.any(self.start().groups.coefficients >= 0)
        name = "the multiplier of the state noise"
        given = VarianceMultipliers.of(name, self.noise_by, one=True, may_vanish=may_vanish)
        object.__setattr__(self, "noise_by", given)

    @property
    def form(self) -> Form:
        return Form.LINEAR_GAUSSIAN

    @property
    def size(self) -> int:
        return self.n_coordinates

    @property
    def per_group(self) -> bool:
        return True

    @property
    def n_inputs(self) -> int:
        """m."""
        return int(self.inputs.shape[1])

    @property
    def is_series(self) -> bool:
        """Whether some matrix is known for each row."""
        return isinstance(self.transition, KnownSeries) or isinstance(self.noise, KnownSeries)

    @property
    def is_free(self) -> bool:
        """Whether A and Q are free in all entries."""
        return not self.is_series and self.noise == "full" and bool(self.transition.is_free)

    # -- parameters ----------------------------------------------------------------------------

    def start(self) -> NormalChainParameters:
        """A random walk with noise of variance 1, brought under the options."""
        q = self.size
        mean = np.zeros(q) if self.initial_mean is None else self.initial_mean.values
        covariance = np.eye(q) if self.initial_covariance is None else self.initial_covariance.values
        damped = 1.0 if "stationary" not in self.initial else 0.5
        noise = np.eye(q) if self._has_matrix else np.ones(q)
        inputs = np.zeros((q, self.n_inputs))
        return self.conform(NormalChainParameters(damped * np.eye(q), np.zeros(q), noise, inputs, mean, covariance))

    def conform(self, params: NormalChainParameters) -> NormalChainParameters:
        """The parameters with held entries at their numbers and equal ones at their mean, and marked as such."""
        transition = self.transition
        if isinstance(transition, KnownSeries):
            transition = Pattern.of("transition", np.zeros((self.size, self.size)), (self.size, self.size))
        together = side_by_side({"b": self.shift, "B": self.inputs, "A": transition})
        moved = params.with_coefficients(together.imposed(params.coefficients))
        noise, groups, moving = self._noise_of(np.asarray(params.noise, float))
        free = {"free": ("mean", "covariance"), "mean": ("mean",)}.get(self.initial[0], ())
        return replace(moved, noise=noise, layout=ChainLayout(together.groups, groups, moving, free))

    @property
    def _has_matrix(self) -> bool:
        return self.noise == "full" or (isinstance(self.noise, Pattern) and len(self.noise.shape) == 2)

    def _noise_of(self, current: FloatArray) -> tuple[FloatArray, Array | None, Array]:
        """The noise under the structure, its groups, and the coordinates that move."""
        q, every = self.size, np.arange(self.size)
        if isinstance(self.noise, KnownSeries):
            return np.zeros(q), np.full(q, HELD), every
        if self._has_matrix:
            matrix = np.diag(current) if current.ndim == 1 else current
            if self.noise == "full":
                return matrix, None, every
            values = self.noise.values
            moving = np.flatnonzero(np.isnan(np.diagonal(values)))
            if not len(moving):
                return values, np.full(q, HELD), np.flatnonzero(np.diagonal(values) > 0)
            return np.where(np.isnan(values), matrix, values), None, moving
        variances = np.diagonal(current).copy() if current.ndim == 2 else current
        pattern = pattern_of_variances(self.noise, q)
        imposed = pattern.imposed(variances)
        return imposed, pattern.groups, np.flatnonzero((pattern.groups >= 0) | (imposed > 0))

    def _check_still_rows(self) -> None:
        """A coordinate without noise follows from its row of A and b, which EM cannot move."""
        params = self.start()
        if isinstance(self.noise, KnownSeries) and np.any(params.groups.coefficients >= 0):
            raise ParameterError("noise is known for each row; transition, shift and inputs must then be numbers too")
        if isinstance(self.transition, KnownSeries):
            return
        still = np.setdiff1d(np.arange(self.size), params.groups.moving)
        free = np.flatnonzero((params.groups.coefficients[still] >= 0).any(axis=1))
        if len(free):
            raise ParameterError(
                f"coordinate {still[free[0]]} has no noise, so its rows of transition, shift and inputs cannot be "
                "estimated by EM: give them as numbers, or let its noise be free"
            )

    # -- posterior -----------------------------------------------------------------------------

    def start_of(self, params: NormalChainParameters) -> Start:
        """The distribution of z₁."""
        return Start.of(self.initial, params)

    def dynamics(self, params: NormalChainParameters, batch: Batch) -> kalman.Dynamics:
        """The chain as the kernels take it."""
        start = self.start_of(params)
        if self.n_inputs and (batch.covariates is None or batch.covariates.shape[1] != self.n_inputs):
            given = 0 if batch.covariates is None else batch.covariates.shape[1]
            raise DataError(f"the chain has {self.n_inputs} inputs, but the data come with {given} covariates")
        shift = params.shift[None]
        if self.n_inputs:
            assert batch.covariates is not None
            shift = shift + batch.covariates @ params.inputs.T
        rows = np.arange(batch.first_row, batch.first_row + len(batch)) if batch.rows is None else batch.rows
        transition, noise, arrival = params.transition[None], root_of(params.noise_matrix)[None], None
        if isinstance(self.transition, KnownSeries):
            transition, arrival = self.transition.of_rows(rows), np.arange(len(batch))
        if isinstance(self.noise, KnownSeries):
            noise, arrival = np.stack([root_of(Q) for Q in self.noise.of_rows(rows)]), np.arange(len(batch))
        if self.noise_by is not None:
            scale = self._scale(batch)
            if arrival is None:
                scale, arrival = np.unique(scale, return_inverse=True)
            noise = np.sqrt(scale)[:, None, None] * noise
        if arrival is not None:
            count = max(len(transition), len(noise))
            transition = np.broadcast_to(transition, (count, self.size, self.size))
            noise = np.broadcast_to(noise, transition.shape)
        return kalman.Dynamics(transition, noise, shift, start.mean, start.root, start.flat, arrival)

    def _scale(self, batch: Batch) -> FloatArray:
        """(n,): what multiplies Q on arrival at each row; nothing arrives at the first of a group."""
        return np.asarray(self.noise_by.of_rows(batch, batch.group_offsets[:-1])[:, 0])

    def typical_scale(self, batch: Batch) -> float:
        """The mean of what multiplies Q over the rows of a batch; 1 where nothing does."""
        mean = 1.0 if self.noise_by is None else float(self._scale(batch).mean())
        return mean if mean > 0 else 1.0

    def filter(
        self, density: LinearGaussianDensity, batch: Batch, params: NormalChainParameters
    ) -> tuple[kalman.Path, FloatArray]:
        """The filter over a batch, and the log-likelihood of each group."""
        numbers, lost = self._numbers(density, batch)
        path = kalman.run(self.dynamics(params, batch), numbers, batch.group_offsets, smooth=False)
        return path, self._log_likelihood(path.log_likelihood, path.status, lost, batch)

    def posterior(
        self, log_density: LinearGaussianDensity, batch: Batch, params: NormalChainParameters
    ) -> tuple[Posterior, FloatArray]:
        """By the Kalman smoother.

        Raises
        ------
        DataError
            A sequence is too short to tell all of a diffuse start.
        """
        numbers, lost = self._numbers(log_density, batch)
        smoothed, found, status = kalman.smooth(self.dynamics(params, batch), numbers, batch.group_offsets)
        log_likelihood = self._log_likelihood(found, status, lost, batch)
        return ChainPosterior(mean=smoothed.mean, smoothed=smoothed, params=params), log_likelihood

    def _numbers(self, density: LinearGaussianDensity, batch: Batch) -> tuple[kalman.Numbers, FloatArray]:
        if density.size != self.size:
            raise ParameterError(f"the loadings have {density.size} columns, but z has {self.size} coordinates")
        presence = presence_of(density, batch)
        if density.varies:
            return as_varying_numbers(density.deviations, presence, density.loadings, density.noise, density.scale)
        return as_numbers(density.deviations, presence, density.loadings, density.noise)

    def _log_likelihood(self, found: FloatArray, status: Array, lost: FloatArray, batch: Batch) -> FloatArray:
        open_ends = np.flatnonzero(status == kalman.UNDETERMINED)
        if len(open_ends):
            raise DataError(
                f"the sequence that begins at row {batch.row_of_unit(int(open_ends[0]), True)} does not tell all "
                "coordinates of its diffuse start: it needs more rows, or a start that is known, free or stationary"
            )
        whole = found + np.add.reduceat(lost, batch.group_offsets[:-1])
        return np.where(status == kalman.IMPOSSIBLE, -np.inf, whole)

    def lagged(self, posterior: ChainPosterior, batch: Batch) -> FloatArray:
        """Cov(zₜ, zₜ₋₁ | x), (n, q, q); zero in the first row of a group."""
        smoothed, params, n = posterior.smoothed, posterior.params, len(batch)
        assert params is not None
        dynamics = self.dynamics(params, batch)
        A = dynamics.transition[0] if dynamics.arrival is None else dynamics.transition[dynamics.arrival[1:]]
        lagged = np.zeros((n, self.size, self.size))
        lagged[1:] = A @ smoothed.covariance[smoothed.kept[:-1]] + smoothed.cross[smoothed.kept[:-1]]
        lagged[batch.group_offsets[:-1]] = 0.0
        return lagged

    def statistics(self, posterior: Posterior, batch: Batch) -> NormalChainStatistics:
        assert isinstance(posterior, ChainPosterior)
        return statistics_of(posterior, batch, None if self.noise_by is None else self._scale(batch))

    # -- Q -------------------------------------------------------------------------------------

    def maximize(self, statistics: NormalChainStatistics, params: NormalChainParameters) -> NormalChainParameters:
        moved = moved_transitions(statistics, params)
        if statistics.first_count > 0:
            moved = moved_start(statistics, moved)
        if "stationary" not in self.initial or not params.n_free:
            return moved
        objective, slope = partial(self.expected_log_density, statistics), partial(self.score, statistics)
        return ascend(objective, slope, params, moved)

    def expected_log_density(self, statistics: NormalChainStatistics, params: NormalChainParameters) -> float:
        start = density_of_start(self.initial, statistics, params)
        if isinstance(self.noise, KnownSeries):
            return start  # the rest of the chain is known then
        return density_of_transitions(statistics, params) + start

    def score(self, statistics: NormalChainStatistics, params: NormalChainParameters) -> FloatArray:
        return score(self.initial, statistics, params)

    def pseudo_statistics(self, concentration: float) -> NormalChainStatistics:
        """None: there are no states that a Dirichlet prior could count (the model refuses other concentrations)."""
        q, a = self.size, 1 + self.n_inputs + self.size
        zero = np.zeros(())
        reference = self.start().reference
        return NormalChainStatistics(
            zero, np.zeros((a, a)), np.zeros((q, a)), np.zeros((q, q)), zero, np.zeros(q), np.zeros((q, q)), reference
        )

    def sample(self, params: NormalChainParameters, lengths: Array, rng: np.random.Generator) -> FloatArray:
        """Vectors z for groups of these lengths, (n, q); along diffuse directions they begin at 0.

        For a chain without inputs, and whose matrices do not change; see `sample_given`.
        """
        if self.n_inputs or self.is_series or self.noise_by is not None:
            raise ParameterError("a chain with inputs or known series of matrices cannot be drawn without its rows")
        start, root = self.start_of(params), root_of(params.noise_matrix)
        return np.concatenate([self._sample_path(params, start, root, int(n), rng) for n in lengths])

    def sample_given(self, params: NormalChainParameters, given: Batch, rng: np.random.Generator) -> FloatArray:
        """The same for the groups of a batch, its inputs and its rows' matrices."""
        if not (self.n_inputs or self.is_series or self.noise_by is not None):
            return self.sample(params, given.group_lengths, rng)
        dynamics, start = self.dynamics(params, given), self.start_of(params)
        noise = rng.standard_normal((len(given), self.size))
        first, path = set(given.group_offsets[:-1].tolist()), np.empty_like(noise)
        for t in range(len(given)):
            if t in first:
                path[t] = start.mean + start.root @ noise[t]
                continue
            A, root, shift = dynamics.leading_to(t)
            path[t] = shift + A @ path[t - 1] + root @ noise[t]
        return path

    def _sample_path(
        self, params: NormalChainParameters, start: Start, root: FloatArray, length: int, rng: np.random.Generator
    ) -> FloatArray:
        noise = rng.standard_normal((length, self.size))
        path = params.shift + noise @ root.T
        path[0] = start.mean + start.root @ noise[0]
        for t in range(1, length):
            path[t] += params.transition @ path[t - 1]
        return path
