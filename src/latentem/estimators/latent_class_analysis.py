"""Latent class analysis: categorical columns, independent given the class."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np

from .._typing import Array
from ..data import Source
from ..errors import DataError
from ..families.categorical import CategoricalColumns
from ..model import Family, ModelParameters
from .family_mixture import FamilyMixture
from .frames import unframed, validated
from .inputs import name_of, refuse_sparse


class LatentClassAnalysis(FamilyMixture):
    """Latent class analysis (Lazarsfeld 1950; Goodman 1974): p(x) = Σₖ πₖ Π_d p_d(x_d | k) over categories.

    Columns hold categories of any kind: text, numbers, booleans; missing entries are None or NaN.  After `fit`,
    `categories_` holds those of each column in order, and `probabilities_` a table (K, C_d) for each.

    The best of ten random starts by default (`init_params="random"`, `n_init=10`): few categories make many local
    maxima, and clusters by distance lead to the same few of them.

    Parameters
    ----------
    n_components : int
        Number of classes K."""

    _name = "categorical"
    _defaults = {"init_params": "random", "n_init": 10}

    def _read(self, X: Any, *, reset: bool) -> Array:
        refuse_sparse(X, self)
        try:
            table = validated(self, *unframed(X, categories=True), reset=reset, dtype=None, ensure_all_finite=False)
        except ValueError as error:
            raise DataError(str(error)) from error
        if table.dtype.kind == "c":
            raise DataError("Complex data not supported: categories are text, whole numbers or booleans")
        columns = [_known(column, name_of(self, d)) for d, column in enumerate(table.T)]
        if reset:
            self.categories_ = [_categories(column, name_of(self, d)) for d, column in enumerate(columns)]
        codes = [self._codes(column, d) for d, column in enumerate(columns)]
        return np.stack(codes, axis=1)

    def _given(self, source: Source, *, reset: bool) -> Source:
        raise DataError(
            "LatentClassAnalysis finds the categories in a table; of a source, whose columns are codes, use "
            "MixtureModel(CategoricalColumns(…))"
        )

    def _codes(self, column: Array, d: int) -> Array:
        known = {value: float(code) for code, value in enumerate(self.categories_[d].tolist())}
        codes = np.array([np.nan if value is None else known.get(value, -1.0) for value in column])
        unseen = np.flatnonzero(codes == -1)
        if len(unseen):
            raise DataError(
                f"row {unseen[0]}, column {name_of(self, d)!r} holds the category {column[unseen[0]]!r}, which was not "
                f"seen at fit; known are {self.categories_[d].tolist()}"
            )
        return codes

    def _family(self, source: Source) -> Family[Any, Any]:
        return CategoricalColumns(tuple(len(categories) for categories in self.categories_))

    def _attributes(self, params: ModelParameters) -> dict[str, Any]:
        tables = [self._show(column.probabilities) for column in params.emission.columns]
        return {**super()._attributes(params), "probabilities_": tables}

    def sample(self, n_samples: int = 1) -> tuple[Array, Array]:
        """Draw rows of categories, and the class of each; rows are sorted by it."""
        codes, components = super().sample(n_samples)
        columns = [categories[codes[:, d].astype(int)] for d, categories in enumerate(self.categories_)]
        same = len({column.dtype.kind for column in columns}) == 1
        return np.stack([column if same else column.astype(object) for column in columns], axis=1), components

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = False
        tags.input_tags.string = True
        return tags


def _known(column: Array, name: str) -> Array:
    """The column as objects, None where an entry is missing."""
    values = column.tolist()
    infinite = next((row for row, value in enumerate(values) if isinstance(value, float) and isinf(value)), None)
    if infinite is not None:
        raise DataError(
            f"row {infinite}, column {name!r} holds {values[infinite]}: categories are text, whole numbers or booleans"
        )
    return np.array([None if value is None or value != value else value for value in values] + [None], object)[:-1]


def _categories(column: Array, name: str) -> Array:
    """The distinct categories in order (mixed kinds by their text)."""
    distinct = {value for value in column if value is not None}
    if not distinct:
        raise DataError(f"column {name!r} has no observed entry, and so no category; drop it")
    try:
        ordered = sorted(distinct)
    except TypeError:
        ordered = sorted(distinct, key=lambda value: (type(value).__name__, str(value)))
    plain = np.array(ordered)
    return plain if plain.tolist() == ordered else np.array(ordered, object)
