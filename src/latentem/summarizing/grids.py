"""Tables of estimates: a column for each component, a line for each column of the data, or entry by entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .._typing import Array
from ..result import EMResult
from .labels import Labels, component_lines, has_states, indices_once, symmetric_arrays, weights_of
from .record import Grid

NONE = "—"


def estimate_grids(result: EMResult, labels: Labels) -> tuple[Grid, ...]:
    """The estimates without errors."""
    if has_states(result.parameters):
        return (_components(result, labels),)
    return tuple(_by_array(result.parameters, labels))


def _components(result: EMResult, labels: Labels) -> Grid:
    rows = tuple((label, *map(number, values)) for label, values in component_lines(result, labels))
    return Grid("Estimates", ("component", *map(str, range(len(weights_of(result))))), rows)


def _by_array(parameters: Any, labels: Labels) -> Iterator[Grid]:
    """A line for each column of the data where arrays have one; then every other array by itself."""
    latent = getattr(parameters, "latent", None)
    known = () if latent is None or latent.n_free else ("latent.",)  # as N(0, I) of factors: no estimate
    arrays = {name: array for name, array in parameters.arrays().items() if not name.startswith(known)}
    symmetric = symmetric_arrays(parameters)
    d, called = len(labels.names), short_names(arrays)
    by_column = {name: array for name, array in arrays.items() if d > 1 and np.shape(array)[:1] == (d,) and array.size}
    if by_column:
        yield _columns({called[name]: array for name, array in by_column.items()}, labels)
    rest = {name: array for name, array in arrays.items() if name not in by_column and np.size(array)}
    flat = tuple(
        (f"{called[name]}{_place(index, np.shape(array), np.ndim(array), labels)}", number(float(array[index])))
        for name, array in rest.items()
        for index in indices_once(np.shape(array), name in symmetric)
    )
    if flat:
        yield Grid("Estimates", ("parameter", "estimate"), flat)


def _columns(arrays: dict[str, Array], labels: Labels) -> Grid:
    """Loadings, offsets and noise of each column side by side."""
    parts = {name: np.asarray(array, float).reshape(len(labels.names), -1) for name, array in arrays.items()}
    headings = [
        name if part.shape[1] == 1 else f"{name} {j}" for name, part in parts.items() for j in range(part.shape[1])
    ]
    values = np.concatenate(list(parts.values()), axis=1)
    rows = tuple((name, *map(number, row)) for name, row in zip(labels.names, values, strict=True))
    return Grid("Estimates by column", ("column", *headings), rows)


def error_grid(result: EMResult, errors: Any, labels: Labels, level: float) -> Grid:
    """Entry by entry: estimate, standard error, interval; a dash where there is none."""
    ends = errors.intervals(level)
    names = entry_names(result.parameters, labels)
    rows = tuple(
        (names[i], *map(number, (errors.estimates[i], errors.errors[i], *ends[i])))
        for i in entries_once(result.parameters)
    )
    percent = f"{100 * level:g} %"
    return Grid("Estimates", ("parameter", "estimate", "std. error", f"{percent} from", "to"), rows)


def entry_names(parameters: Any, labels: Labels) -> list[str]:
    """Every entry in words, in the order of `inference.natural.entries`: "means[0, waiting]", the component first."""
    arrays = parameters.arrays()
    called = short_names(arrays)
    components = int(has_states(parameters))
    return [
        called[name] + _place(index, np.shape(array), components, labels)
        for name, array in arrays.items()
        for index in np.ndindex(np.shape(array))
    ]


def entries_once(parameters: Any) -> list[int]:
    """The positions of entries, of symmetric matrices those up to the diagonal."""
    symmetric, found, before = symmetric_arrays(parameters), [], 0
    for name, array in parameters.arrays().items():
        shape = np.shape(array)
        found += [before + _position(index, shape) for index in indices_once(shape, name in symmetric)]
        before += int(np.prod(shape))
    return found


def _position(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(index, shape)) if shape else 0


def _place(index: tuple[int, ...], shape: tuple[int, ...], components: int, labels: Labels) -> str:
    if not index:
        return ""
    rest = labels.places(index[components:], shape[components:])
    return f"[{', '.join([*map(str, index[:components]), *rest])}]"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Without the half of the model that an array belongs to, unless both halves have one of that name."""
    bare = {name: name.removeprefix("emission.").removeprefix("latent.") for name in names}
    twice = Counter(bare.values())
    return {
        name: f"latent {short}" if twice[short] > 1 and name.startswith("latent.") else short
        for name, short in bare.items()
    }


def number(value: float) -> str:
    return NONE if np.isnan(value) else f"{value:.5g}"
