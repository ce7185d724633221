"""The rows that a picture is of: their values and names, and the responsibilities of a fitted model for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .._typing import Array, FloatArray
from ..densities import Form
from ..errors import ParameterError
from ..model import LatentVariableModel
from ..result import EMResult, result_of
from ..sources import as_source


def values_of(fitted: Any, X: Any) -> FloatArray:
    """The rows as the model knows them: an estimator reads them as at its fit (categories become codes)."""
    if hasattr(fitted, "result_"):
        read = fitted._read(X[:, None] if isinstance(X, np.ndarray) and X.ndim == 1 else X, reset=False)
        return np.asarray(read.toarray() if hasattr(read, "toarray") else read, dtype=float)
    values = np.asarray(getattr(X, "values", X), dtype=float)
    return values[:, None] if values.ndim == 1 else values


def names_of(fitted: Any, X: Any, n_columns: int) -> tuple[str, ...]:
    """The names seen at the fit, or those of a frame, or numbers."""
    seen = getattr(fitted, "feature_names_in_", getattr(X, "columns", getattr(X, "names", None)))
    return tuple(map(str, [f"x{j}" for j in range(n_columns)] if seen is None else seen))


@dataclass(frozen=True)
class Responsibilities:
    """p(z = k | x) of each unit, (n, K), and the units' weights (n,)."""

    probabilities: FloatArray
    weights: FloatArray

    @property
    def assigned(self) -> Array:
        """The most probable component of each unit, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @classmethod
    def of(cls, fitted: Any, X: Any = None, lengths: Any = None) -> Self:
        """What a fitted model says of rows, by default of those that it was fitted to.

        Raises
        ------
        ParameterError
            Not a model with components or states, or no rows.
        """
        result = result_of(fitted)
        if not _has_states(result):
            raise ParameterError(f"{_named(result)} has no components or states to be responsible for a row")
        if X is not None and hasattr(fitted, "predict_proba"):
            known = np.asarray(fitted.predict_proba(X) if lengths is None else fitted.predict_proba(X, lengths), float)
            return cls(known, np.ones(len(known)))
        if X is None and result.source is None:
            raise ParameterError("the result has no data with it (it was loaded or pickled); give X")
        return cls._inferred(result, result.source if X is None else X, lengths)

    @classmethod
    def _inferred(cls, result: EMResult, X: Any, lengths: Any) -> Self:
        if not isinstance(result.model, LatentVariableModel):
            known = result.posterior(X, **({} if lengths is None else {"lengths": lengths})).probabilities
            return cls(np.asarray(known, float), np.ones(len(known)))
        parts = []
        for batch in as_source(X, lengths=lengths):
            posterior = result.model.infer(result.parameters, batch.without_labels())[0]
            r = posterior.probabilities
            parts.append((r.T, np.ones(r.shape[1]) if posterior.weights is None else posterior.weights))
        probabilities, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        return cls(probabilities, weights)


def _has_states(result: EMResult) -> bool:
    """Whether z takes one of some values, alone or beside what is continuous."""
    if isinstance(result.model, LatentVariableModel):
        return result.model.latent.form is Form.TABLE
    return int(result.model.declaration.space.n_states) > 1


def _named(result: EMResult) -> str:
    latent = getattr(result.model, "latent", None)
    return getattr(result.model, "name", "") or f"a model with the latent {type(latent).__name__}"
