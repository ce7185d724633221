"""Gaussian responses that regress on covariates: y ~ N(B_k c, Σ_k)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..predictors import Predictors, demand_given
from .gaussian_regression import GaussianRegression


@dataclass(frozen=True)
class LinearRegression(GaussianRegression):
    """The rows are responses y (M columns), linear in the covariates given the state: y ~ N(B_k c, Σ_k).

    `Categorical` × `LinearRegression` is a mixture of regressions (De Veaux 1989), `MarkovChain` × `LinearRegression` a
    regression that switches regimes.  The M-step is exact: weighted least squares, and the weighted mean of the squared
    residuals lifted to the floor.

    Attributes
    ----------
    columns : tuple of int, optional
        Columns of the covariates that it regresses on, from 0; all unless given.
    intercept : bool
        Whether c begins with a 1; its coefficients are then the first.
    covariance : {"full", "diagonal"}
        Of the responses given state and covariates.  Missing responses are integrated out where it is diagonal;
        where it is full, rows may be missing as a whole.
    floor : float
        Smallest variance, in squared units of the responses.

    Raises
    ------
    DataError
        There are no covariates, or not those columns.

    Notes
    -----
    Where covariates are collinear the coefficients are the least-norm ones nearest to where they were; a finding tells.
    """

    columns: tuple[int, ...] | None = None
    intercept: bool = True
    covariance: str = "full"
    floor: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self._predictors  # noqa: B018 - checks the options

    @property
    def _predictors(self) -> Predictors:
        return Predictors("LinearRegression", self.columns, self.intercept)

    def predictors(self, batch: Batch) -> FloatArray:
        return self._predictors(batch)

    def check(self, batch: Batch) -> None:
        self._predictors.check(batch)
        super().check(batch)

    def points(self, batch: Batch) -> None:
        """None: responses lie apart by their covariates as much as by their components."""

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        return self.sample_given(params, states, None, rng)

    def sample_given(self, params: Any, states: Array, given: Batch | None, rng: np.random.Generator) -> FloatArray:
        c = self.predictors(demand_given("LinearRegression", given))
        means = np.einsum("nmp,np->nm", params.coefficients[states], c)
        return np.asarray(means + self._noise(params, states, rng))
