"""What a fitted mixture says of rows: components, densities, criteria, draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..data import ArraySource, Batch, Source
from ..errors import ParameterError
from ..fitting import as_generator
from ..model import LatentVariableModel, ModelParameters, check_batch
from .inputs import named_source, read_labels, read_weights


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

    def _source(self, X: Any, sample_weight: Any = None, labels: Any = None, *, reset: bool) -> Source:
        """The rows as a source of numbers, checked, their columns named."""
        if isinstance(X, Source):
            if sample_weight is not None or labels is not None:
                raise ParameterError("weights and labels of a source are its own: give them when you make it")
            return self._given(X, reset=reset)
        table = self._read(X, reset=reset)
        n = table.shape[0]
        known = read_labels(labels, n, self._n_states)
        names = getattr(self, "feature_names_in_", None)
        return ArraySource(table, weights=read_weights(sample_weight, n), labels=known, names=names)

    def _given(self, source: Source, *, reset: bool) -> Source:
        """A source that the user made, once its columns are known to be those of the fit."""
        return named_source(source, self, reset=reset)

    def _current(self) -> tuple[LatentVariableModel, ModelParameters]:
        """The model and its parameters."""
        check_is_fitted(self)
        return self._model, self._parameters

    def predict(self, X: Any) -> Array:
        """(n,) most probable component of each row, the first of equals."""
        source, rows = self._inferred(X)
        labels = np.empty(source.n_rows, np.intp)
        for batch, r, _ in rows:
            labels[rows_of(batch)] = r.argmax(axis=0)
        return labels

    def predict_proba(self, X: Any) -> FloatArray:
        """(n, K) responsibilities p(k | x); each row adds to one."""
        source, rows = self._inferred(X)
        responsibilities = np.empty((source.n_rows, self._n_states), precision(source))
        for batch, r, _ in rows:
            responsibilities[rows_of(batch)] = r.T
        return responsibilities

    def score_samples(self, X: Any) -> FloatArray:
        """(n,) log density log p(x) of each row, in natural logarithms."""
        source, rows = self._inferred(X)
        log_density = np.empty(source.n_rows)
        for batch, _, values in rows:
            log_density[rows_of(batch)] = values
        return in_precision(log_density, precision(source))

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
        total = weight = entropy = 0.0
        for batch, r, values in self._inferred(X, sample_weight)[1]:
            w = batch.unit_weights(False)
            total += float(w @ values)
            weight += float(w.sum())
            entropy -= float(np.sum(r * np.log(np.where(r > 0, r, 1.0)), axis=0) @ w)
        return total, weight, entropy

    def _inferred(
        self, X: Any, sample_weight: Any = None
    ) -> tuple[Source, Iterator[tuple[Batch, FloatArray, FloatArray]]]:
        """The rows as a source; and each chunk with its responsibilities (K, n) and log densities (n,)."""
        model, params = self._current()
        source = self._source(X, sample_weight, reset=False)

        def chunks() -> Iterator[tuple[Batch, FloatArray, FloatArray]]:
            for batch in source:
                check_batch(model, batch, source.names)
                posterior, log_density = model.infer(params, batch.without_labels())
                yield batch, posterior.probabilities, log_density

        return source, chunks()


def rows_of(batch: Batch) -> slice:
    """Where the rows of a chunk are in the whole data."""
    return slice(batch.first_row, batch.first_row + len(batch))


def precision(source: Source) -> Any:
    """float32 for rows in float32, else float64."""
    return np.float32 if isinstance(source, ArraySource) and source.values.dtype == np.float32 else np.float64


def in_precision(exact: FloatArray, dtype: Any) -> FloatArray:
    """The numbers in the precision of the data, where they all fit into that; else as they are."""
    if dtype == np.float64:
        return exact
    with np.errstate(over="ignore"):
        short = exact.astype(dtype)
    fits = np.all(np.isfinite(short)) and not np.any((short == 0) & (exact != 0))
    return short if fits else exact
