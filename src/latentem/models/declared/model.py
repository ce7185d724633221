"""The declared model: the user's densities behind the same two steps as every other model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..._typing import Array, FloatArray
from ...data import Batch
from ...errors import DataError
from ...kernels.newton import remembering
from ...layout import Layout
from ...model import SMALLEST_TERMS, Fold, Model
from ...statistics import Expectation, LocalQ, Reference, Statistics
from .compiled import BLOCK, Compiled, compiled
from .declaration import Declaration
from .e_steps import EStep, Points, choose
from .e_steps.enumeration import log_joint
from .m_steps.maximize import maximize_on_pivots, maximize_over_data
from .m_steps.probing import find_basis, first_rows_too
from .m_steps.sufficient import Basis, NoBasis
from .parameters import DeclaredParameters, logarithms

if TYPE_CHECKING:
    from .using.explaining import Explanation
    from .using.predicting import DeclaredPosterior

# Q rebuilt from the pivots may differ from Q over the data by this share of the size of its terms.
AGREEMENT = 1e-9
POOL_POINTS = 4096
# The logarithm of a positive parameter below which derivatives may overflow: an unbounded likelihood has led there,
# which is told after the fit.
VANISHED = float(-60 * np.log(10.0))
SLAB = 8 * BLOCK


@dataclass(frozen=True)
class DeclaredStatistics(Statistics):
    """Expected statistics of a declared model.

    Attributes
    ----------
    coefficients : (L, r) or None
        C: posterior weights of the labels times the coefficients of the observations on the pivots.
    complete : ()
        E_q[log p(x, z; θₜ)] summed over the data, from the densities themselves.
    magnitude : ()
        The size of the terms of that sum.
    variance : ()
        Monte Carlo variance of the log-likelihood; 0 where nothing is simulated.
    local : LocalQ or None
        Q to second order at θₜ, where no pivots stand for the data.
    """

    coefficients: FloatArray | None
    complete: FloatArray
    magnitude: FloatArray
    variance: FloatArray
    local: LocalQ | None = None


@dataclass(frozen=True)
class DeclaredModel(Model):
    """A latent variable model given by its joint density, see `latent_variable_model`.

    Attributes
    ----------
    declaration : Declaration
    estep : EStep
        How the posterior of z is found.
    layout : Layout or None
        What a row of the data is; known once the model was prepared for data.
    basis : Basis, NoBasis or None
        Automatic sufficient statistics, why there are none, or None before the model was prepared for data.
    """

    declaration: Declaration
    estep: EStep
    layout: Layout | None = None
    basis: Basis | NoBasis | None = field(default=None, repr=False)

    @classmethod
    def of(cls, declaration: Declaration) -> Self:
        """The model with the E-step that its latent asks for."""
        return cls(declaration, choose(declaration))

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def per_group(self) -> bool:
        return self.declaration.per_group

    def parameters(self, **values: Any) -> DeclaredParameters:
        """Parameters by name: `model.parameters(means=[0.0, 1.0], …)`.

        Raises
        ------
        ParameterError
            See `DeclaredParameters.of`.
        """
        return DeclaredParameters.of(self.declaration.domains, values)

    # -- the two steps -------------------------------------------------------------------------

    def e_step(self, params: DeclaredParameters, batch: Batch) -> Expectation:
        functions, x = self._functions(batch), self.rows(batch)
        points = self.infer(params, batch)
        unit_weights = batch.unit_weights(self.per_group)
        weights = points.weighted(batch)
        with np.errstate(over="ignore"):
            total = unit_weights @ points.log_likelihood
            terms = unit_weights @ (SMALLEST_TERMS + np.abs(points.log_likelihood))
        return Expectation(
            statistics=self._statistics(functions, x, points, weights, unit_weights, params),
            log_likelihood=float(total),
            magnitude=float(terms),
            weight=float(unit_weights.sum()),
            noise=points.noise,
        )

    def infer(self, params: DeclaredParameters, batch: Batch) -> Points:
        """The posterior of z as weighted points; units of weight 0 may be impossible.

        Raises
        ------
        DataError
            A unit is impossible under the model, or its density is not a number; row, z and θ are named.
        """
        functions, x = self._functions(batch), self.rows(batch)
        points = self.estep.points(functions, params.values, x, batch)
        wrong = ~np.isfinite(points.log_likelihood)
        if not wrong.any():
            return points
        if np.any(batch.unit_weights(self.per_group)[wrong] > 0):
            from .checking.checks import describe_impossible

            raise describe_impossible(self, params, batch, int(np.flatnonzero(wrong)[0]), points)
        return replace(points, log_likelihood=np.where(wrong, 0.0, points.log_likelihood))

    def unit_log_likelihoods(self, params: DeclaredParameters, batch: Batch) -> FloatArray:
        return self.infer(params, batch).log_likelihood

    def complete_log_density(self, params: DeclaredParameters, batch: Batch) -> FloatArray | None:
        space = self.declaration.space
        if space.dimension or space.is_chain:
            return None
        return log_joint(self._functions(batch), params.values, self.rows(batch), batch)[1]

    def m_step(self, statistics: DeclaredStatistics, params: DeclaredParameters, fold: Fold | None = None) -> Any:
        """argmax_θ of Q plus the log prior: on the pivots where they stand for the data, else over the data."""
        start = params.flatten()
        if not len(start):
            return params
        if self._holds(statistics, params):
            on_pivots = remembering(partial(self._q_on_pivots, statistics))
            if not np.isfinite(on_pivots(start)[1]).all():
                if np.any(logarithms(params) < VANISHED):
                    return params
                self._refuse_gradient(params, *self._pivot_pairs(statistics))
            return params.unflatten(maximize_on_pivots(on_pivots, start))
        if fold is None:
            raise DataError("this M-step needs the data: the model has no sufficient statistics of small dimension")

        def q(vector: FloatArray) -> tuple[float, FloatArray, FloatArray]:
            return self._complete(vector, fold(partial(self._q_share, params, vector)))

        there = None if statistics.local is None else self._complete(start, statistics.local)
        return params.unflatten(maximize_over_data(q, start, there))

    def log_prior(self, params: DeclaredParameters) -> float:
        return 0.0 if self.declaration.log_prior is None else self._any_functions().prior(params.flatten())[0]

    def complete_score(
        self, statistics: DeclaredStatistics, params: DeclaredParameters
    ) -> Callable[[DeclaredParameters], FloatArray]:
        if statistics.local is None:
            return lambda there: self._q_on_pivots(statistics, there.flatten())[1]
        _, slope, curvature = self._complete(params.flatten(), statistics.local)

        def score(there: DeclaredParameters) -> FloatArray:
            moved = there.flatten() - params.flatten()
            return slope + curvature @ moved if moved.any() else slope

        return score

    def q_function(self, params: DeclaredParameters, statistics: DeclaredStatistics) -> float:
        """Q(θ; statistics) = E_q[log p(x, z; θ)] without the prior: from the pivots, or else to second order."""
        if statistics.local is not None:
            near = statistics.local
            moved = params.flatten() - near.reference.point
            return float(near.value + (near.gradient + 0.5 * near.curvature @ moved) @ moved)
        assert isinstance(self.basis, Basis) and statistics.coefficients is not None
        pivots = self.basis.at_pivots(self._any_functions(), params.values)
        return float(np.sum(statistics.coefficients * pivots))

    # -- what users ask ------------------------------------------------------------------------

    def explain(self, x: Any = None, parameters: Any = None, **columns: Any) -> Explanation:
        """Which E-step and which M-step the model gets, and what is approximate; see `explaining.explain`."""
        from .using.explaining import explain

        return explain(self, x, parameters, **columns)

    def posterior(self, parameters: Any, x: Any, **columns: Any) -> DeclaredPosterior:
        """p(z | x; θ) of each unit; see `predicting.posterior`."""
        from .using.predicting import posterior

        return posterior(self, parameters, x, **columns)

    def log_likelihood(self, parameters: Any, x: Any, **columns: Any) -> FloatArray:
        """log p(x; θ) of each unit, (units,); see `predicting.log_likelihood`."""
        from .using.predicting import log_likelihood

        return log_likelihood(self, parameters, x, **columns)

    def sample(self, parameters: Any, n: Any = None, random_state: Any = None, **options: Any) -> tuple[Any, Any]:
        """Draws (x, z) of the model; see `sampling_from.sample`."""
        from .using.sampling_from import sample

        return sample(self, parameters, n, random_state, **options)

    # -- data ----------------------------------------------------------------------------------

    def prepared(
        self, params: DeclaredParameters, pool: Batch, complete: bool, rng: np.random.Generator
    ) -> DeclaredModel:
        """The model with sufficient statistics found from a pool of the data, if there are any.

        Parameters
        ----------
        params : DeclaredParameters
            About where to look for them.
        pool : Batch
        complete : bool
            Whether the pool is all the data.
        rng : Generator
        """
        model = self.at(params, pool)
        functions, x = model._functions(pool), model.rows(pool)
        points = model.infer(params, pool)
        chosen = first_rows_too(functions, rng.permutation(len(points.rows)), x[points.rows])[:POOL_POINTS]
        complete = complete and not model.declaration.space.dimension and len(chosen) == len(points.rows)
        return replace(
            model,
            basis=find_basis(functions, params, x[points.rows[chosen]], points.u[chosen], rng, complete),
        )

    def at(self, params: DeclaredParameters, pool: Batch) -> DeclaredModel:
        """The model with an E-step for data like a pool of them, near θ."""
        model = replace(self, layout=pool.layout or Layout.vector(pool.n_columns))
        functions, x = model._functions(pool), model.rows(pool)
        return replace(model, estep=self.estep.prepared(functions, params.values, x, pool))

    def seeded(self, seed: int) -> DeclaredModel:
        """The model whose E-step draws other random numbers, if any."""
        return replace(self, estep=self.estep.seeded(seed))

    def refined(self, params: DeclaredParameters, pool: Batch) -> DeclaredModel | None:
        """The model with a finer E-step where that is needed at θ, else None."""
        finer = self.estep.refined(self._functions(pool), params.values, self.rows(pool), pool)
        return None if finer is None else replace(self, estep=finer)

    def shortcomings(self, params: DeclaredParameters, pool: Batch) -> str | None:
        """What a user should know of how well the E-step served at θ; None where all is well."""
        return self.estep.shortcomings(self._functions(pool), params.values, self.rows(pool), pool)

    def rows(self, batch: Batch) -> FloatArray:
        """The rows as the compiled functions take them: for groups with one more column that marks first rows."""
        if not self.per_group:
            return batch.values

        def marked() -> FloatArray:
            first = np.zeros((len(batch), 1))
            first[batch.group_offsets[:-1]] = 1.0
            return np.hstack([batch.values, first])

        return batch.once("marked rows", marked)

    # -- within --------------------------------------------------------------------------------

    def _functions(self, batch: Batch) -> Compiled:
        return compiled(self.declaration, batch.layout or Layout.vector(batch.n_columns))

    def _any_functions(self) -> Compiled:
        return compiled(self.declaration, self.layout or Layout.vector(1))

    def _statistics(
        self,
        functions: Compiled,
        x: FloatArray,
        points: Points,
        weights: FloatArray,
        unit_weights: FloatArray,
        params: DeclaredParameters | None = None,
    ) -> DeclaredStatistics:
        terms = weights * np.where(weights > 0, points.values, 0.0)
        coefficients, local = None, None
        if isinstance(self.basis, Basis):
            coefficients = np.zeros((len(weights), self.basis.rank))
            with np.errstate(invalid="ignore"):
                for part in _slabs(len(points.rows)):
                    own = self.basis.coefficients(
                        functions, x[points.rows[part]], points.u[part], points.values[:, part]
                    )
                    coefficients += weights[:, part] @ own.T
        elif self.basis is not None and params is not None:
            local = _local_q(functions, x, points, weights, params.flatten())
        return DeclaredStatistics(
            coefficients,
            np.asarray(terms.sum()),
            np.asarray(np.abs(terms).sum() + SMALLEST_TERMS * weights.sum()),
            np.asarray(0.0 if points.variance is None else unit_weights**2 @ points.variance),
            local,
        )

    def _refuse_gradient(
        self, params: DeclaredParameters, x: FloatArray, u: FloatArray, labels: Array, weights: FloatArray
    ) -> None:
        """Raise about the pivot at which the density is a number at θ and its gradient is not."""
        from .checking.gradients import first_without, without_gradient

        functions = self._any_functions()
        found = first_without(functions, params.flatten(), x, u, labels, weights)
        if found is not None:
            raise DataError(without_gradient(functions, params, x[found[0]], found[1]))

    def _pivot_pairs(self, statistics: DeclaredStatistics) -> tuple[FloatArray, FloatArray, Array, FloatArray]:
        """Pivots with the labels that are possible at each, and what Q weights them with."""
        assert isinstance(self.basis, Basis) and statistics.coefficients is not None
        return *self.basis.pairs(), statistics.coefficients[self.basis.possible]

    def _holds(self, statistics: DeclaredStatistics, params: DeclaredParameters) -> bool:
        """Whether the pivots stand for the data at θ: Q from both agrees."""
        if statistics.coefficients is None or not np.isfinite(statistics.coefficients).all():
            return False
        rebuilt = self.q_function(params, statistics)
        return bool(abs(rebuilt - statistics.complete) <= AGREEMENT * statistics.magnitude)

    def _q_on_pivots(
        self, statistics: DeclaredStatistics, vector: FloatArray
    ) -> tuple[float, FloatArray, FloatArray]:
        return self._with_prior(vector, self._any_functions().derivatives(vector, *self._pivot_pairs(statistics)))

    def _q_share(self, params: DeclaredParameters, vector: FloatArray, batch: Batch) -> LocalQ:
        """The batch's share of Q(·; θₜ) and of its derivatives at another θ."""
        points = self.infer(params, batch)
        weights = points.weighted(batch)
        return _local_q(self._functions(batch), self.rows(batch), points, weights, vector)

    def _complete(self, vector: FloatArray, local: LocalQ) -> tuple[float, FloatArray, FloatArray]:
        """Q with the prior, and its derivatives."""
        return self._with_prior(vector, (float(local.value), local.gradient, local.curvature))

    def _with_prior(
        self, vector: FloatArray, q: tuple[float, FloatArray, FloatArray]
    ) -> tuple[float, FloatArray, FloatArray]:
        if self.declaration.log_prior is None:
            return q
        value, gradient, hessian = self._any_functions().prior(vector)
        return q[0] + value, q[1] + gradient, q[2] + hessian


def _local_q(
    functions: Compiled, x: FloatArray, points: Points, weights: FloatArray, vector: FloatArray
) -> LocalQ:
    """Σ weights · log density at θ = `vector`, with its derivatives."""
    value, gradient, hessian = 0.0, np.zeros(len(vector)), np.zeros((len(vector), len(vector)))
    for part in _slabs(len(points.rows)):
        labels, at = np.nonzero(weights[:, part] > 0)
        rows, u = points.rows[part][at], points.u[part][at]
        share = functions.derivatives(vector, x[rows], u, labels, weights[:, part][labels, at])
        value, gradient, hessian = value + share[0], gradient + share[1], hessian + share[2]
    return LocalQ(np.asarray(value), gradient, hessian, Reference(vector))


def _slabs(n: int) -> Iterator[slice]:
    """Points by the slab: what is computed for each of them at a time stays small."""
    return (slice(first, first + SLAB) for first in range(0, n, SLAB))
