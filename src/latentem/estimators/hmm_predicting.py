"""What a hidden Markov model says of sequences: likelihoods, states, paths, forecasts, residuals, draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import ndtri
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, FloatArray
from ..data import Batch, Source
from ..errors import ParameterError
from ..execution.opening import opened
from ..execution.spare import each, threads_for_a_chunk
from ..fitting import as_generator
from ..kernels.filtering import filtered, log_filtered, sample_paths
from ..kernels.outlook import log_outlook
from ..kernels.viterbi import decode, decode_in_blocks, k_best_paths
from ..model import LatentVariableModel, ModelParameters, check_batch
from .distribution_functions import mid_tails
from .forecasts import Forecast, state_forecast
from .predicting import rows_of
from .sequences import in_given_order

DECODERS = ("viterbi", "map")
RESIDUALS = ("ordinary", "forecast")
# Tails are held off zero by this, that residuals are finite: 37 standard deviations out.
SMALLEST_TAIL = 1e-300


class SequencePredicting:
    """The methods of a hidden Markov model on data; `lengths` or `groups` divide rows into sequences as in `fit`."""

    random_state: Any
    algorithm: str
    executor: Any
    n_components: int
    startprob_: Any
    transmat_: Any

    def _current(self) -> tuple[LatentVariableModel, ModelParameters]:
        raise NotImplementedError

    def _sequences(self, X: Any, lengths: Any = None, *, reset: bool, **columns: Any) -> Source:
        raise NotImplementedError

    def _n_parameters(self) -> int:
        raise NotImplementedError

    def _n_columns(self) -> int:
        raise NotImplementedError

    # -- likelihoods ---------------------------------------------------------------------------

    def score(self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None) -> float:
        """log p(X), summed over the sequences by their weights; an impossible sequence is a `DataError`."""
        return self._totals(X, lengths, groups, sample_weight)[0]

    def score_samples(self, X: Any, lengths: Any = None, *, groups: Any = None) -> tuple[float, FloatArray]:
        """log p(X), and p(zₜ = k | X) for each row, (n, K)."""
        source, batches = self._batches(X, lengths, groups)
        posteriors, total = np.empty((source.n_rows, self.n_components)), 0.0
        for batch, model, params in batches:
            posterior, log_likelihood = model.infer(params, batch)
            posteriors[rows_of(batch)] = posterior.probabilities.T
            total += float(log_likelihood.sum())
        return total, in_given_order(source, posteriors)

    def predict_proba(self, X: Any, lengths: Any = None, *, groups: Any = None) -> FloatArray:
        """p(zₜ = k | X) for each row, (n, K), by forward-backward."""
        return self.score_samples(X, lengths, groups=groups)[1]

    def filter_proba(self, X: Any, lengths: Any = None, *, groups: Any = None) -> FloatArray:
        """p(zₜ = k | x₁ … xₜ) for each row, (n, K): what was known at the time."""
        source, batches = self._batches(X, lengths, groups)
        result = np.empty((source.n_rows, self.n_components))
        for batch, model, params in batches:
            chain, log_density = params.latent, self._log_density(batch, model, params)
            _, current, increments = filtered(chain.initial, chain.transition, log_density, batch.group_offsets)
            if not np.all(np.isfinite(increments)):
                model.infer(params, batch)  # says which sequence is impossible
            result[rows_of(batch)] = current.T
        return in_given_order(source, result)

    def aic(self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None) -> float:
        """-2 ℓ(X) + 2 p with p the free parameters (Akaike 1974); smaller is better."""
        return -2 * self._totals(X, lengths, groups, sample_weight)[0] + 2 * self._n_parameters()

    def bic(self, X: Any, lengths: Any = None, *, groups: Any = None, sample_weight: Any = None) -> float:
        """-2 ℓ(X) + p log n with n the number of rows, by their weights (Schwarz 1978); smaller is better."""
        total, n = self._totals(X, lengths, groups, sample_weight)
        return -2 * total + self._n_parameters() * float(np.log(n))

    # -- states --------------------------------------------------------------------------------

    def decode(
        self, X: Any, lengths: Any = None, algorithm: str | None = None, *, groups: Any = None
    ) -> tuple[float, Array]:
        """The states that most probably were behind the rows.

        Parameters
        ----------
        algorithm : {"viterbi", "map"}, optional
            "viterbi": the path with the largest log p(x, z), which is returned with it, summed over sequences.  "map":
            at each time the state with the largest p(zₜ | x); the sum of these, the expected number of right states,
            is returned with it (such a path may be impossible).  The constructor's unless it is given.
        """
        chosen = self.algorithm if algorithm is None else algorithm
        if chosen not in DECODERS:
            raise ParameterError(f"algorithm must be one of {', '.join(DECODERS)}, got {chosen!r}")
        if chosen == "map":
            posteriors = self.predict_proba(X, lengths, groups=groups)
            return float(posteriors.max(axis=1).sum()), posteriors.argmax(axis=1)
        source, batches = self._batches(X, lengths, groups)
        states, total = np.empty(source.n_rows, np.intp), 0.0
        with opened(self.executor) as workers, threads_for_a_chunk(workers.threads):
            for batch, model, params in batches:
                path, log_joint = self._best_paths(batch, model, params)
                if not np.all(np.isfinite(log_joint)):
                    model.infer(params, batch)  # says which sequence is impossible
                states[rows_of(batch)] = path
                total += float(log_joint.sum())
        return total, in_given_order(source, states)

    def predict(self, X: Any, lengths: Any = None, *, groups: Any = None) -> Array:
        """(n,) the states that `decode` finds."""
        return self.decode(X, lengths, groups=groups)[1]

    def k_best(self, X: Any, k: int, lengths: Any = None, *, groups: Any = None) -> list[tuple[Array, FloatArray]]:
        """For each sequence its k most probable paths (k', T), best first, and their log p(x, z), (k',).

        There are fewer (k') where fewer paths are possible.  Sequences come in the order in which they first appear.
        """
        check_whole("k", k)
        if k < 1:
            raise ParameterError(f"k must be at least 1, got {k}")
        found = []
        for batch, model, params in self._batches(X, lengths, groups)[1]:
            chain, log_density = params.latent, self._log_density(batch, model, params)
            model.infer(params, batch)  # raises where a sequence is impossible
            for a, b in pairwise(batch.group_offsets):
                found.append(k_best_paths(chain.initial, chain.transition, log_density[:, a:b], int(k)))
        return found

    def sample_states(
        self, X: Any, size: int = 1, lengths: Any = None, *, groups: Any = None, random_state: Any = None
    ) -> Array:
        """(size, n) draws of whole paths from p(z | X)."""
        check_whole("size", size)
        if size < 1:
            raise ParameterError(f"size must be at least 1, got {size}")
        rng = as_generator(self.random_state if random_state is None else random_state)
        source, batches = self._batches(X, lengths, groups)
        result = np.empty((source.n_rows, size), np.intp)
        for batch, model, params in batches:
            chain, log_density = params.latent, self._log_density(batch, model, params)
            model.infer(params, batch)
            paths = sample_paths(chain.initial, chain.transition, log_density, batch.group_offsets, rng, int(size))
            result[rows_of(batch)] = paths.T
        return in_given_order(source, result).T

    # -- forecasts and checks ------------------------------------------------------------------

    def forecast(self, X: Any, h: int = 1, lengths: Any = None, *, groups: Any = None) -> Forecast:
        """States and observations of the h steps after the last row of each sequence.

        Returns
        -------
        Forecast
            `probabilities` (G, h, K) of the states, `mean` (G, h, D) of the observations, `log_density(x)`, `cdf(x)`.
        """
        check_whole("h", h)
        if h < 1:
            raise ParameterError(f"h must be at least 1, got {h}")
        last = []
        model, params = self._fitted()
        for batch, _, _ in self._batches(X, lengths, groups)[1]:
            posterior = model.infer(params, batch)[0].probabilities
            last.append(posterior[:, batch.group_offsets[1:] - 1].T)
        states = state_forecast(np.concatenate(last), params.latent.transition, int(h))
        return Forecast(states, model.family, params.emission, self._n_columns())

    def pseudo_residuals(
        self, X: Any, lengths: Any = None, *, groups: Any = None, kind: str = "ordinary"
    ) -> FloatArray:
        """Φ⁻¹ P(Xₜ ≤ xₜ | other rows), shape (n, D): standard normal where the model is right.

        Zucchini, MacDonald and Langrock (2016), section 6.2.  For counts and categories the mid-pseudo-residual, from
        P(Xₜ < xₜ) + ½ P(Xₜ = xₜ).  Several columns are judged one by one.  A missing entry has NaN.

        Parameters
        ----------
        kind : {"ordinary", "forecast"}
            Given all other rows of the sequence, which finds outliers; or given the rows before, which shows how well
            the next one is foreseen (and these residuals are independent).
        """
        if kind not in RESIDUALS:
            raise ParameterError(f"kind must be one of {', '.join(RESIDUALS)}, got {kind!r}")
        source, batches = self._batches(X, lengths, groups)
        result = np.empty((source.n_rows, source.n_columns))
        for batch, model, params in batches:
            model.infer(params, batch)  # raises where a sequence is impossible
            weights = self._weights_without(batch, model, params, kind == "ordinary")
            lower, upper = mid_tails(model.family, params.emission, batch.values)
            result[rows_of(batch)] = _normal_scores(
                np.einsum("kn,knd->nd", weights, lower), np.einsum("kn,knd->nd", weights, upper)
            )
        return in_given_order(source, result)

    def _weights_without(
        self, batch: Batch, model: LatentVariableModel, params: ModelParameters, both_sides: bool
    ) -> FloatArray:
        """p(zₜ = k | all rows but t, or those before it), (K, n)."""
        chain, log_density = params.latent, self._log_density(batch, model, params)
        if not both_sides:
            return filtered(chain.initial, chain.transition, log_density, batch.group_offsets)[0]
        weights = log_filtered(chain.initial, chain.transition, log_density, batch.group_offsets)[0]
        weights = weights + log_outlook(chain.transition, log_density, batch.group_offsets)
        odds = np.exp(weights - weights.max(axis=0))
        return np.asarray(odds / odds.sum(axis=0))

    # -- draws ---------------------------------------------------------------------------------

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Array]:
        """Draw one sequence.

        Parameters
        ----------
        n_samples : int
            Its length.
        random_state : int, RandomState, Generator or None
            The constructor's unless it is given.
        currstate : int, optional
            The state of its first row.

        Returns
        -------
        X : (n_samples, D)
        states : (n_samples,)
        """
        model, params = self._fitted()
        check_whole("n_samples", n_samples)
        if n_samples < 1:
            raise ParameterError(f"Invalid value for 'n_samples': {n_samples}; it must be at least 1")
        rng = as_generator(self.random_state if random_state is None else random_state)
        chain = params.latent
        if currstate is not None:
            check_whole("currstate", currstate)
            if not 0 <= currstate < self.n_components:
                raise ParameterError(f"currstate must be from 0 to {self.n_components - 1}, got {currstate}")
            chain = type(chain)(np.eye(self.n_components)[int(currstate)], chain.transition)
        states = model.latent.sample(chain, np.array([int(n_samples)]), rng)
        rows = model.family.sample(params.emission, states, rng)
        return (rows.astype(int) if model.family.discrete else rows), states

    # -- inside --------------------------------------------------------------------------------

    def _fitted(self) -> tuple[LatentVariableModel, ModelParameters]:
        check_is_fitted(self, ["startprob_", "transmat_"])
        return self._current()

    def _batches(
        self, X: Any, lengths: Any, groups: Any, sample_weight: Any = None
    ) -> tuple[Source, Iterator[tuple[Batch, LatentVariableModel, ModelParameters]]]:
        """The rows as a source; and each chunk of whole sequences, checked, with the model."""
        model, params = self._fitted()
        source = self._sequences(X, lengths, groups=groups, sample_weight=sample_weight, reset=False)

        def chunks() -> Iterator[tuple[Batch, LatentVariableModel, ModelParameters]]:
            for batch in source:
                check_batch(model, batch, source.names)
                yield batch.without_labels(), model, params

        return source, chunks()

    def _log_density(self, batch: Batch, model: LatentVariableModel, params: ModelParameters) -> FloatArray:
        return model.state_densities(params, batch)

    def _best_paths(
        self, batch: Batch, model: LatentVariableModel, params: ModelParameters
    ) -> tuple[Array, FloatArray]:
        """The most probable states, and log p(x, z) of each sequence; of a long one while densities are being found."""
        chain, parts = params.latent, model.parts(batch)
        if batch.n_groups > 1 or len(parts) == 1:
            log_density = self._log_density(batch, model, params)
            return decode(chain.initial, chain.transition, log_density, batch.group_offsets)
        densities = each(lambda part: self._log_density(batch.rows_between(*part), model, params), parts)
        path, log_joint = decode_in_blocks(chain.initial, chain.transition, densities, len(batch))
        return path, np.array([log_joint])

    def _totals(self, X: Any, lengths: Any, groups: Any, sample_weight: Any) -> tuple[float, float]:
        """Σ w log p(x), and the number of rows by their weights."""
        total = rows = 0.0
        for batch, model, params in self._batches(X, lengths, groups, sample_weight)[1]:
            weights = batch.unit_weights(per_group=True)
            total += float(weights @ model.infer(params, batch)[1])
            rows += float(weights @ batch.group_lengths)
        return total, rows


def check_whole(name: str, value: Any) -> None:
    """An error where a count is no whole number."""
    if not (isinstance(value, Real) and float(value).is_integer()):
        raise ParameterError(f"{name} must be a whole number, got {value!r}")


def _normal_scores(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """Φ⁻¹(lower) by whichever tail is smaller."""
    below = ndtri(np.maximum(lower, SMALLEST_TAIL))
    above = -ndtri(np.maximum(upper, SMALLEST_TAIL))
    return np.asarray(np.where(lower < upper, below, above))
