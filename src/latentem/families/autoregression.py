"""Rows that regress on the earlier rows of their own sequence: xₜ ~ N(a_k + Σᵢ A_ki xₜ₋ᵢ, Σ_k)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..errors import DataError, ParameterError
from ..predictors import Predictors, demand_given
from .gaussian_regression import GaussianRegression


@dataclass(frozen=True)
class Autoregression(GaussianRegression):
    """A vector autoregression for each state: xₜ = a_k + A_k1 xₜ₋₁ + … + A_kp xₜ₋ₚ + noise of covariance Σ_k.

    `MarkovChain` × `Autoregression` is the autoregressive hidden Markov model (Hamilton 1989; Juang and Rabiner 1985).
    The likelihood is that of the rows after the first p of each sequence given those: the first p rows have density 1
    in every state.  Earlier rows are those of the same group, never of another.

    `coefficients` (K, D, 1 + p D) hold a_k, then A_k1, …, A_kp, then those of covariates; `intercepts` and `matrices`
    take them apart.

    Attributes
    ----------
    order : int
        p, at least 1.
    columns : tuple of int
        Columns of the covariates of the same row that are regressed on as well, from 0; none unless given.
    covariance : {"full", "diagonal"}
    floor : float
        Smallest variance, in squared units of the data.

    Raises
    ------
    DataError
        A missing entry, a sequence of no more than p rows, or covariates that are not there.
    """

    order: int = 1
    columns: tuple[int, ...] = ()
    covariance: str = "full"
    floor: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.order, bool) or not isinstance(self.order, int) or self.order < 1:
            raise ParameterError(f"the order of an Autoregression is a whole number of at least 1, got {self.order!r}")
        self._covariates  # noqa: B018 - checks the option

    @property
    def rowwise(self) -> bool:
        return False  # a row's density depends on the rows before it

    @property
    def _covariates(self) -> Predictors:
        """The intercept, and the covariates."""
        return Predictors("Autoregression", self.columns, True)

    def intercepts(self, params: Any) -> FloatArray:
        """a, (K, D)."""
        return np.asarray(params.coefficients[:, :, 0])

    def matrices(self, params: Any) -> FloatArray:
        """A, (K, p, D, D): entry (k, i - 1) multiplies the row i steps earlier."""
        k, d, _ = params.coefficients.shape
        lags = params.coefficients[:, :, 1 : 1 + self.order * d]
        return np.asarray(lags.reshape(k, d, self.order, d).transpose(0, 2, 1, 3))

    def predictors(self, batch: Batch) -> FloatArray:
        return batch.once(("lags", self.order, self.columns), lambda: self._lags(batch))

    def counted(self, batch: Batch) -> Array:
        later: Array = batch.once(("after the first", self.order), lambda: _place(batch) >= self.order)
        return later[:, None]

    def check(self, batch: Batch) -> None:
        self._covariates.check(batch)
        missing = np.argwhere(~batch.observed)
        if len(missing):
            row, column = missing[0]
            raise DataError(
                f"row {batch.row_of_unit(int(row), False)}, column {column} is missing: an Autoregression needs every "
                "entry, since later rows regress on it; cut the sequence there"
            )
        short = np.flatnonzero(batch.group_lengths <= self.order)
        if len(short):
            row, length = batch.row_of_unit(int(short[0]), True), int(batch.group_lengths[short[0]])
            raise DataError(
                f"the sequence that begins in row {row} has {length} row{'s' * (length != 1)}; an Autoregression of "
                f"order {self.order} needs at least {self.order + 1}"
            )

    def sample(self, params: Any, states: Array, rng: np.random.Generator) -> FloatArray:
        """One sequence.  Rows before it count as what the first state tends to without noise and covariates."""
        return self.sample_given(params, states, None, rng)

    def sample_given(self, params: Any, states: Array, given: Batch | None, rng: np.random.Generator) -> FloatArray:
        offsets = np.array([0, len(states)]) if given is None else given.group_offsets
        x = self._noise(params, states, rng)
        if self.columns:
            others = self._covariates(demand_given("Autoregression", given))[:, 1:]
            x += np.einsum("nmp,np->nm", params.coefficients[states, :, -others.shape[1] :], others)
        for start, stop in pairwise(offsets):
            x[start:stop] = self._path(params, states[start:stop], x[start:stop])
        return x

    def _path(self, params: Any, states: Array, noise: FloatArray) -> FloatArray:
        earlier = np.tile(self._level(params, int(states[0])), (self.order, 1))
        x = np.vstack([earlier, noise])
        for t, state in enumerate(states):
            lags = x[t : t + self.order][::-1].ravel()
            x[t + self.order] += params.coefficients[state, :, : 1 + len(lags)] @ np.concatenate([[1.0], lags])
        return x[self.order :]

    def _level(self, params: Any, state: int) -> FloatArray:
        """The x at which x = a + Σ A x, the nearest where there is none."""
        excess = np.eye(params.coefficients.shape[1]) - self.matrices(params)[state].sum(axis=0)
        return np.asarray(np.linalg.lstsq(excess, self.intercepts(params)[state], rcond=1e-6)[0])

    def _lags(self, batch: Batch) -> FloatArray:
        """(n, 1 + p D + P): a one, the p rows before, zeros where the sequence has none, and the covariates."""
        place, given = _place(batch), self._covariates(batch)
        lags = [given[:, :1]]
        for i in range(1, self.order + 1):
            shifted = np.zeros_like(batch.values)
            shifted[i:] = batch.values[:-i]
            shifted[place < i] = 0.0
            lags.append(shifted)
        return np.hstack([*lags, given[:, 1:]])


def _place(batch: Batch) -> Array:
    """(n,): the number of each row in its group, from 0."""
    lengths = batch.group_lengths
    return np.arange(len(batch)) - np.repeat(batch.group_offsets[:-1], lengths)
