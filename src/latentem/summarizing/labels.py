"""What estimates are called, and the estimates of components line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
from ..domains import Correlation, PositiveDefinite
from ..domains.constraints import without_constraints
from ..domains.matrices import Noise
from ..parameters import Parameters
from ..result import EMResult


@dataclass(frozen=True)
class Labels:
    """What estimates are called.

    Attributes
    ----------
    names : sequence of str
        Of the columns.
    categories : mapping from a column's name to sequence of str
        What its codes stand for.
    """

    names: Sequence[str]
    categories: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, estimator: Any, names: Sequence[str], levels: Mapping[str, Sequence[str]]) -> Labels:
        """The labels of a fitted estimator; codes of other columns are spelled out by `levels`."""
        found: dict[str, Sequence[str]] = dict(levels)
        for name, known in zip(names, getattr(estimator, "categories_", ()), strict=False):
            found[name] = [str(c) if isinstance(c, str | bool) else f"{c:g}" for c in known.tolist()]
        return cls(tuple(names), found)

    def __call__(self, name: str, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
        """The label of one entry of the array `name`, whose shape beside the components is `shape`."""
        if name.startswith("columns."):
            _, column, name = name.split(".", 2)
            return f"{name}: {self._category(self.names[int(column)], index)}"
        if not index:
            return name
        return f"{name}: {', '.join(dict.fromkeys(self.places(index, shape)))}"

    def places(self, index: tuple[int, ...], shape: tuple[int, ...]) -> list[str]:
        """An index in words: an axis as long as there are columns is one of columns."""
        return [self.names[i] if size == len(self.names) else str(i) for i, size in zip(index, shape, strict=True)]

    def _category(self, column: str, index: tuple[int, ...]) -> str:
        known = self.categories.get(column)
        parts = [str(i) if known is None or i >= len(known) else str(known[i]) for i in index]
        return f"{column} = {', '.join(parts)}" if parts else column


def component_lines(result: EMResult, labels: Labels) -> list[tuple[str, Array]]:
    """(label, one number for each component) for every estimate of a model with components."""
    k, parameters = len(weights_of(result)), result.parameters
    return [*_latent_lines(parameters.latent, k), *_lines(parameters.emission, labels, k)]


def _latent_lines(latent: Parameters, k: int) -> Iterator[tuple[str, Array]]:
    """Weights of a mixture; of a chain where it starts, and where it goes from each state."""
    called = {"weights": "weight", "initial": "first state"} | {f"transition: {j}": f"to state {j}" for j in range(k)}
    for name, values in _lines(latent, Labels((), {}), k):
        yield called.get(name, name), values


def has_states(parameters: Any) -> bool:
    """Whether z is one of several states, so that the emission's arrays begin with an axis of components."""
    latent = getattr(parameters, "latent", None)
    return hasattr(latent, "weights") or hasattr(latent, "initial")


def weights_of(result: EMResult) -> Array:
    """(K,) weights of a mixture, or a chain's initial probabilities."""
    latent = result.parameters.latent
    return np.asarray(getattr(latent, "weights", getattr(latent, "initial", np.ones(1))))


def _lines(parameters: Parameters, labels: Labels, k: int) -> Iterator[tuple[str, Array]]:
    """(label, one number for each component) for every entry."""
    symmetric = symmetric_arrays(parameters)
    for name, array in parameters.arrays().items():
        values = np.asarray(array, float)
        shared = name in symmetric and values.ndim == 2  # one matrix for all components, though it may have k rows
        if shared or values.shape[:1] != (k,):
            values = np.broadcast_to(values, (k, *values.shape))
        for index in indices_once(values.shape[1:], name in symmetric):
            yield labels(name, index, values.shape[1:]), np.array([values[k][index] for k in range(len(values))])


def indices_once(shape: tuple[int, ...], symmetric: bool) -> Iterator[tuple[int, ...]]:
    """The indices of an array's entries; of symmetric matrices those up to the diagonal, which say all."""
    for index in np.ndindex(shape):
        if not (symmetric and index[-1] > index[-2]):
            yield index


def symmetric_arrays(parameters: Any) -> set[str]:
    """The names of arrays that are symmetric matrices by their domain, not by chance."""
    arrays = parameters.arrays()
    return {
        name
        for (name, array), domain in zip(arrays.items(), parameters.array_domains(), strict=True)
        if np.ndim(array) > 1 and isinstance(without_constraints(domain), Correlation | Noise | PositiveDefinite)
    }
