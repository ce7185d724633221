"""What estimates are called, and the estimates of components line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
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
    k = len(weights_of(result))
    return [*_latent_lines(result.parameters.latent, k), *lines(result.parameters.emission, labels, k)]


def _latent_lines(latent: Parameters, k: int) -> Iterator[tuple[str, Array]]:
    """Weights of a mixture; of a chain where it starts, and where it goes from each state."""
    called = {"weights": "weight", "initial": "first state"}
    for name, array in latent.arrays().items():
        if name == "transition":
            yield from ((f"to state {j}", array[:, j]) for j in range(k))
        else:
            yield from lines(latent, Labels((), {}), k, name, called.get(name, name))


def has_states(parameters: Any) -> bool:
    """Whether z is one of several states, so that the emission's arrays begin with an axis of components."""
    latent = getattr(parameters, "latent", None)
    return hasattr(latent, "weights") or hasattr(latent, "initial")


def weights_of(result: EMResult) -> Array:
    """(K,) weights of a mixture, or a chain's initial probabilities."""
    latent = result.parameters.latent
    return np.asarray(getattr(latent, "weights", getattr(latent, "initial", np.ones(1))))


def lines(
    parameters: Parameters, labels: Labels, k: int, only: str | None = None, called: str | None = None
) -> Iterator[tuple[str, Array]]:
    """(label, one number for each component) for every estimate, or for those of one array under another name."""
    for name, array in parameters.arrays().items():
        if only not in (None, name):
            continue
        values = np.asarray(array, float)
        if values.shape[:1] != (k,):
            values = np.broadcast_to(values, (k, *values.shape))
        for index in np.ndindex(values.shape[1:]):
            if not (is_square(values) and index[-1] > index[-2]):
                yield labels(called or name, index, values.shape[1:]), values[(slice(None), *index)]


def is_square(values: Array) -> bool:
    """Covariances and the like, of which one half says all."""
    square = values.ndim >= 2 and values.shape[-1] == values.shape[-2]
    return square and values.ndim == 3 and np.allclose(values, np.swapaxes(values, 1, 2))
