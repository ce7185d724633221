"""Hidden Markov models of symbols and of counts: drop-ins for hmmlearn's."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from ..data import Source
from ..errors import DataError, ParameterError
from ..families.categorical import CategoricalColumns, CategoryParameters, CategoryStatistics, ColumnProbabilities
from ..families.columnwise import ColumnStatistics
from ..families.conjugate import ConjugatePrior, PseudoCounts
from ..families.multinomial import Multinomial, MultinomialParameters
from ..families.poisson import SMALLEST_RATE, Poisson, PoissonParameters
from ..fitting import as_generator
from ..model import Family
from .hmm import HiddenMarkov, WithFeatures, dirichlet_counts, per_state, probabilities
from .hmm_options import OWN, PRIORS, document, run_options
from .inputs import read_table
from .options import constructor

# Codes beyond both are taken for numbers that are no codes, unless n_features is given.
MOST_SYMBOLS, MOST_SYMBOLS_A_ROW = 10_000, 10


class CategoricalHMM(HiddenMarkov):
    """A hidden Markov model of symbols, p(xₜ = c | zₜ = k) = Bₖ꜀; x is one column of codes 0, 1, ….

    Parameters
    ----------
    n_components : int
        Number of states K.
    emissionprob_prior : float of at least 1, or array (K, C)
        Parameters of Dirichlet priors; 1 is flat.
    n_features : int, optional
        Number of symbols C; one more than the largest code of the data unless it is given."""

    _letters: ClassVar[dict[str, str]] = {"e": "emissionprob_"}
    _takes_counts = True
    _held_names: ClassVar[dict[str, str]] = {"e": "columns.0.probabilities"}
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "emissionprob_prior": [Interval(Real, 1, None, closed="left"), "array-like"],
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
    }
    __init__ = constructor(
        {"n_components": 1, **PRIORS},
        {"emissionprob_prior": 1.0, "n_features": None, **run_options("ste"), **OWN, "init": "random"},
    )
    n_components: int
    n_features: int | None
    init: Any
    init_params: str
    emissionprob_prior: Any
    emissionprob_: Any

    def _n_columns(self) -> int:
        return 1

    def _read(self, X: Any, *, reset: bool) -> Any:
        table = super()._read(X, reset=reset)
        if table.shape[1] != 1:
            raise DataError(
                f"CategoricalHMM takes one column of codes, got {table.shape[1]} columns; for several use "
                "HiddenMarkovModel(CategoricalColumns(…)), for a sequence in one row its transpose"
            )
        return table

    def _n_symbols(self, source: Source | None) -> int:
        if self.n_features is not None:
            return int(self.n_features)
        if source is None or ("e" not in self.init_params and hasattr(self, "emissionprob_")):
            return int(np.atleast_2d(self.emissionprob_).shape[1])
        largest = max(float(np.nanmax(batch.values, initial=0.0)) for batch in source)
        if largest >= max(MOST_SYMBOLS, MOST_SYMBOLS_A_ROW * source.n_rows):
            raise DataError(
                f"the largest code is {largest:g} in {source.n_rows} rows: codes are 0, 1, … without large gaps; "
                "number the symbols (numpy.unique with return_inverse=True), or give n_features if there are so many"
            )
        return int(largest) + 1

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        return CategoricalColumns((self._n_symbols(source),))

    def _family(self, source: Source) -> Family[Any, Any]:
        self._symbols = self._n_symbols(source)
        return super()._family(source)

    def _prior(self, n_columns: int) -> ConjugatePrior | None:
        counts = dirichlet_counts("emissionprob_prior", self.emissionprob_prior, (self.n_components, self._symbols))
        return PseudoCounts(CategoryStatistics(counts)) if counts.any() else None

    def _first_emission(self, model: Any, source: Source, rng: Any, workers: Any) -> Any:
        """At random, about the frequencies of the symbols; clusters of codes mean nothing."""
        labelled = any(batch.labels is not None for batch in source)
        if labelled or not (isinstance(self.init, str) and self.init == "random"):
            return super()._first_emission(model, source, rng, workers)
        c = model.family.n_categories[0]
        counts = np.ones(c)
        for batch in source:
            seen = batch.observed[:, 0]
            counts += np.bincount(batch.values[seen, 0].astype(int), batch.unit_weights(False)[seen], minlength=c)
        tilted = counts * rng.standard_exponential((self.n_components, c))
        return CategoryParameters((ColumnProbabilities(tilted / tilted.sum(axis=1, keepdims=True)),))

    def _pack(self, attributes: dict[str, Any]) -> Any:
        given = np.atleast_2d(np.asarray(attributes["emissionprob_"], float))
        c = given.shape[-1] if self.n_features is None else int(self.n_features)
        return CategoryParameters((ColumnProbabilities(probabilities("emissionprob_", given, (self.n_components, c))),))

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {"emissionprob_": np.array(emission.columns[0].probabilities)}


document(
    CategoricalHMM,
    '"s" startprob_, "t" transmat_, "e" emissionprob_',
    """
    emissionprob_ : (K, C)""",
)


class PoissonHMM(WithFeatures):
    """A hidden Markov model of counts, columns independent Poisson given the state: xₜ | zₜ = k ~ Poisson(λₖ).

    Parameters
    ----------
    n_components : int
        Number of states K.
    lambdas_prior, lambdas_weight : float or arrays (K,), (K, D)
        Gamma priors with log density α log λ - β λ: α more events, seen in β more steps."""

    _letters: ClassVar[dict[str, str]] = {"l": "lambdas_"}
    _takes_counts = True
    _held_names: ClassVar[dict[str, str]] = {"l": "rates"}
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "lambdas_prior": [Interval(Real, 0.0, None, closed="left"), "array-like"],
        "lambdas_weight": [Interval(Real, 0.0, None, closed="left"), "array-like"],
    }
    __init__ = constructor(
        {"n_components": 1, **PRIORS, "lambdas_prior": 0.0, "lambdas_weight": 0.0, **run_options("stl")}, OWN
    )
    n_components: int
    lambdas_prior: Any
    lambdas_weight: Any
    lambdas_: Any

    def _n_columns(self) -> int:
        return int(np.atleast_2d(self.lambdas_).shape[1])

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        return Poisson()

    def _prior(self, n_columns: int) -> ConjugatePrior | None:
        shape = (self.n_components, n_columns)
        events = per_state("lambdas_prior", self.lambdas_prior, shape)
        steps = per_state("lambdas_weight", self.lambdas_weight, shape)
        if not events.any() and not steps.any():
            return None
        return PseudoCounts(ColumnStatistics(events[:, None, :], steps, np.zeros(self.n_components)))

    def _pack(self, attributes: dict[str, Any]) -> Any:
        rates = np.atleast_2d(np.array(attributes["lambdas_"], dtype=float))
        if len(rates) != self.n_components or not rates.size:
            raise ParameterError(
                f"lambdas_ must have shape ({self.n_components}, number of columns), got {rates.shape}"
            )
        if not np.all(np.isfinite(rates) & (rates >= 0)):
            raise ParameterError(f"lambdas_ must be finite and not negative, got {rates.tolist()}")
        return PoissonParameters(np.maximum(rates, SMALLEST_RATE))

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {"lambdas_": np.array(emission.rates)}


document(
    PoissonHMM,
    '"s" startprob_, "t" transmat_, "l" lambdas_',
    """
    lambdas_ : (K, D)""",
)


class MultinomialHMM(WithFeatures):
    """A hidden Markov model of rows of counts over D categories, the total of each row given.

    Parameters
    ----------
    n_components : int
        Number of states K.
    n_trials : int, or array (n,), optional
        Totals that the rows must have, where they should be checked; `sample` needs one number, or that of the data."""

    _letters: ClassVar[dict[str, str]] = {"e": "emissionprob_"}
    _takes_counts = True
    _held_names: ClassVar[dict[str, str]] = {"e": "probabilities"}
    _parameter_constraints: dict[str, Any] = {
        **HiddenMarkov._parameter_constraints,
        "n_trials": [Interval(Integral, 0, None, closed="left"), "array-like", None],
    }
    __init__ = constructor({"n_components": 1, "n_trials": None, **PRIORS, **run_options("ste")}, OWN)
    n_components: int
    n_trials: Any
    emissionprob_: Any

    def _n_columns(self) -> int:
        return int(np.atleast_2d(self.emissionprob_).shape[1])

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Rows may be missing as a whole: of the others the total must be known."""
        table = read_table(self, X, reset=reset, missing=True)
        if table.dtype.kind == "f":
            gaps = np.isnan(table)
            partial = np.flatnonzero(gaps.any(axis=1) & ~gaps.all(axis=1))
            if len(partial):
                raise DataError(
                    f"Input X contains NaN in a part of row {partial[0]}: its total is not known; fill it in, or "
                    "have the whole row missing"
                )
        return table

    def _family(self, source: Source) -> Family[Any, Any]:
        totals = np.concatenate([batch.values.sum(axis=1) for batch in source])
        seen = totals[~np.isnan(totals)]
        if self.n_trials is not None:
            order = getattr(source, "rows", None)
            wanted = (
                np.broadcast_to(self.n_trials, totals.shape)
                if np.ndim(self.n_trials) == 0
                else np.asarray(self.n_trials)
            )
            if wanted.shape != totals.shape:
                raise ParameterError(
                    f"n_trials must be a number or one for each of {len(totals)} rows, got {wanted.shape}"
                )
            wanted = wanted if order is None else wanted[order]
            wrong = np.flatnonzero(~np.isnan(totals) & (totals != wanted))
            if len(wrong):
                row = int(wrong[0] if order is None else order[wrong[0]])
                raise DataError(f"row {row} adds up to {totals[wrong[0]]:g}, but n_trials says {wanted[wrong[0]]:g}")
        self.totals_ = np.unique(seen).astype(int)
        return super()._family(source)

    def _bare_family(self, source: Source | None) -> Family[Any, Any]:
        return Multinomial()

    def _pack(self, attributes: dict[str, Any]) -> Any:
        given = np.atleast_2d(np.asarray(attributes["emissionprob_"], float))
        return MultinomialParameters(probabilities("emissionprob_", given, (self.n_components, given.shape[-1])))

    def _unpack(self, emission: Any) -> dict[str, Any]:
        return {"emissionprob_": np.array(emission.probabilities)}

    def sample(self, n_samples: int = 1, random_state: Any = None, currstate: int | None = None) -> tuple[Any, Any]:
        """As for other models; every row adds up to the one number of trials.

        Raises
        ------
        ParameterError
            `n_trials` is no single number, and neither were the totals of the data.
        """
        rng = as_generator(self.random_state if random_state is None else random_state)
        trials = self._one_total()
        _, states = super().sample(n_samples, rng, currstate)
        return Multinomial(trials).sample(self._emission(), states, rng).astype(int), states

    def _one_total(self) -> int:
        totals = np.unique(getattr(self, "totals_", []) if self.n_trials is None else self.n_trials)
        if len(totals) != 1:
            raise ParameterError(
                f"sample needs one n_trials for all rows, got {totals.tolist()}; set n_trials to a number"
            )
        return int(totals[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = False
        return tags


document(
    MultinomialHMM,
    '"s" startprob_, "t" transmat_, "e" emissionprob_',
    """
    emissionprob_ : (K, D)
    totals_ : (m,)
        The different totals of the rows of the data.""",
)
