"""What a fitted mixture says of rows: components, densities, criteria, draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..data import ArraySource
from ..errors import ParameterError
from ..fitting import as_generator
from ..model import LatentVariableModel, ModelParameters, check_batch
from .inputs import read_weights, source_of


class Predicting:
    """The methods of a mixture after `fit`; rows are read chunk by chunk."""

    random_state: Any
    _model: LatentVariableModel
    _parameters: ModelParameters

    @property
    def _n_states(self) -> int:
        raise NotImplementedError

    def _read(self, X: Any, *, reset: bool) -> Any:
        raise NotImplementedError

    def _current(self) -> tuple[LatentVariableModel, ModelParameters]:
        """The model and its parameters."""
        check_is_fitted(self)
        return self._model, self._parameters

    def predict(self, X: Any) -> Array:
        """(n,) most probable component of each row, the first of equals."""
        source, rows = self._inferred(X)
        labels = np.empty(source.n_rows, np.intp)
        for part, r, _ in rows:
            labels[part] = r.argmax(axis=0)
        return labels

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, K) responsibilities p(k | x); each row adds to one."""
        source, rows = self._inferred(X)
        responsibilities = np.empty((source.n_rows, self._n_states), _precision(source))
        for part, r, _ in rows:
            responsibilities[part] = r.T
        return responsibilities

    def score_samples(self, X: Any) -> FloatArray:
        """(n,) log density log p(x) of each row, in natural logarithms."""
        source, rows = self._inferred(X)
        log_density = np.empty(source.n_rows, _precision(source))
        for part, _, values in rows:
            log_density[part] = values
        return log_density

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean log density of the rows, weighted by `sample_weight`."""
        total, weight, _ = self._totals(X, sample_weight)
        return total / weight

    def aic(self, X: Any, sample_weight: Any = None) -> float:
        """-2 ℓ(X) + 2 p (Akaike 1974); smaller is better."""
        return -2 * self._totals(X, sample_weight)[0] + 2 * self._n_parameters()

    def bic(self, X: Any, sample_weight: Any = None) -> float:
        """-2 ℓ(X) + p log n with n the sum of the weights (Schwarz 1978); smaller is better."""
        total, weight, _ = self._totals(X, sample_weight)
        return -2 * total + self._n_parameters() * float(np.log(weight))

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """BIC - 2 Σₙ wₙ Σₖ rₙₖ log rₙₖ (Biernacki, Celeux and Govaert 2000), smaller is better."""
        total, weight, entropy = self._totals(X, sample_weight)
        return -2 * total + self._n_parameters() * float(np.log(weight)) + 2 * entropy

    def sample(self, n_samples: int = 1) -> tuple[Any, Array]:
        """Draw rows from the fitted mixture.

        Returns
        -------
        X : (n_samples, D)
        components : (n_samples,)
            Which component each row came from; rows are sorted by it.
        """
        model, params = self._current()
        if n_samples < 1:
            raise ParameterError(f"Invalid value for 'n_samples': {n_samples}; it must be at least 1")
        rng = as_generator(self.random_state)
        components = np.sort(model.latent.sample(params.latent, np.ones(int(n_samples), int), rng))
        return model.family.sample(params.emission, components, rng), components

    def _n_parameters(self) -> int:
        """Free parameters; held and tied ones do not count."""
        model, params = self._current()
        return int(model.conform(params).n_free)

    def _totals(self, X: Any, sample_weight: Any) -> tuple[float, float, float]:
        """Σ w log p(x), Σ w and Σ w Σ -r log r."""
        source, rows = self._inferred(X)
        weights = read_weights(sample_weight, source.n_rows)
        total = entropy = 0.0
        for part, r, values in rows:
            w = np.ones(len(values)) if weights is None else weights[part]
            total += float(w @ values)
            entropy -= float(np.sum(r * np.log(np.where(r > 0, r, 1.0)), axis=0) @ w)
        return total, float(source.n_rows if weights is None else weights.sum()), entropy

    def _inferred(self, X: Any) -> tuple[ArraySource, Iterator[tuple[slice, FloatArray, FloatArray]]]:
        """The rows as a source; and for each chunk its place, responsibilities (K, n) and log densities (n,)."""
        model, params = self._current()
        source = source_of(self._read(X, reset=False), self)

        def chunks() -> Iterator[tuple[slice, FloatArray, FloatArray]]:
            for (start, stop), batch in zip(source.chunks, source, strict=True):
                check_batch(model, batch, source.names)
                posterior, log_density = model.infer(params, batch)
                yield slice(start, stop), posterior.probabilities, log_density

        return source, chunks()


def _precision(source: ArraySource) -> Any:
    """float32 for rows in float32, else float64."""
    return np.float32 if source.values.dtype == np.float32 else np.float64
