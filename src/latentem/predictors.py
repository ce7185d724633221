"""The covariates that a part of a model conditions on: which columns, with an intercept or without."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._typing import FloatArray
from .data import Batch
from .errors import DataError, ParameterError


@dataclass(frozen=True)
class Predictors:
    """The vector c of a row: 1 where there is an intercept, then the chosen columns of the covariates.

    Attributes
    ----------
    owner : str
        Who asks, for messages.
    columns : tuple of int or None
        Numbers of columns of the covariates, from 0; None takes all.
    intercept : bool
    """

    owner: str
    columns: tuple[int, ...] | None
    intercept: bool

    def __post_init__(self) -> None:
        if self.columns is not None:
            wrong = [c for c in self.columns if not isinstance(c, int | np.integer) or isinstance(c, bool) or c < 0]
            if wrong or len(set(self.columns)) < len(self.columns):
                raise ParameterError(
                    f"{self.owner}: columns must be different whole numbers from 0, got {self.columns}"
                )
            if not self.columns and not self.intercept:
                raise ParameterError(f"{self.owner} has neither covariates nor an intercept: nothing to regress on")

    def check(self, batch: Batch) -> None:
        """Raise `DataError` where the batch does not have these covariates."""
        if self.columns == ():
            return
        if batch.covariates is None:
            raise DataError(
                f"{self.owner} conditions on covariates, but the data came without; give them as "
                "em.fit(…, covariates=C) or ArraySource(…, covariates=C), a row of C for each row of the data"
            )
        n_given = batch.covariates.shape[1]
        if n_given <= max(self.columns or (0,)):
            raise DataError(
                f"{self.owner} conditions on column {max(self.columns or (0,))} of the covariates, counted from 0, but "
                f"there are {n_given} columns"
            )

    def __call__(self, batch: Batch) -> FloatArray:
        """(n, P): c of each row."""
        return batch.once(("predictors", self.columns, self.intercept), lambda: self._compute(batch))

    def _compute(self, batch: Batch) -> FloatArray:
        self.check(batch)
        given = np.empty((len(batch), 0)) if self.columns == () or batch.covariates is None else batch.covariates
        chosen = given if self.columns is None else given[:, list(self.columns)]
        ones = np.ones((len(batch), int(self.intercept)))
        return np.ascontiguousarray(np.hstack([ones, chosen]), float)


def demand_given(owner: str, given: Batch | None) -> Batch:
    """The batch to sample for, or an error that says how to give one."""
    if given is None:
        raise ParameterError(
            f"{owner} draws rows given covariates or earlier rows: use sample_given(params, states, batch, rng) with a "
            "batch that holds the covariates and the groups"
        )
    return given
