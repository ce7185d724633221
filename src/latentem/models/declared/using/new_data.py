"""Data that a declared model has not seen: the same columns as at the fit, in the same order, read in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...._typing import Array
from ....data import Batch, Source
from ....errors import DataError, ParameterError
from ....grouping import has_names
from ....io.tables import Table, read_table
from ....layout import Layout, Piece, is_named_tuple
from ....sources import as_source
from ...starts import draw_pool
from ..checking.checks import check_functions
from ..compiled import compiled
from ..model import DeclaredModel
from ..parameters import DeclaredParameters
from ..preparing import POOL_ROWS


@dataclass(frozen=True)
class NewData:
    """Rows as the user gave them, and as a source.

    Attributes
    ----------
    given : the data; paths and frames as a `Table`
    source : Source
    groups : (n,) array or None
        The group of each row, where the user or a column of the data says it.
    """

    given: Any
    source: Source
    groups: Array | None

    @classmethod
    def of(cls, model: DeclaredModel, x: Any, groups: Any = None, lengths: Any = None) -> NewData:
        """The data for a model; groups and lengths are what `fit` calls so.

        Raises
        ------
        DataError
            See `as_source`; or a column of text holds what it did not hold when the model was fitted.
        """
        declaration = model.declaration
        named = groups if isinstance(groups, str) else declaration.group if groups is None and lengths is None else None
        # Groups are new ones; the other texts stand for the numbers that they stood for at the fit.
        levels = {} if model.layout is None else {k: v for k, v in model.layout.levels.items() if k != named}
        given = read_table(x, categories="text", levels=levels) if has_names(x) else x
        if isinstance(given, Table) and model.layout is not None:
            _check_text(set(given.levels) - set(levels) - {named})
        source = as_source(given, groups=groups, lengths=lengths, grouping=declaration.grouping)
        if named is None or isinstance(x, Source):
            return cls(given, source, None if groups is None or isinstance(groups, str) else np.asarray(groups))
        return cls(given, source, _column(given, named))

    def keys(self, first_rows: Array) -> Array:
        """What the groups are called whose first rows these are; they are numbered where nobody said it."""
        return np.arange(len(first_rows)) if self.groups is None else self.groups[first_rows]


def checked_parameters(model: DeclaredModel, parameters: Any) -> DeclaredParameters:
    """Parameters of this model, which may be given by name.

    Raises
    ------
    ParameterError
        They are none, or those of another model.
    """
    if isinstance(parameters, Mapping):
        return model.parameters(**parameters)
    if not isinstance(parameters, DeclaredParameters) or parameters.domains != model.declaration.domains:
        raise ParameterError(
            f"expected parameters of the model {model.name!r}, as result.parameters or as a mapping with "
            f"{', '.join(repr(name) for name, _ in model.declaration.domains)}; got {parameters!r}"
        )
    return parameters


def ready(model: DeclaredModel, params: DeclaredParameters, source: Source) -> DeclaredModel:
    """The model as it is where it was fitted, else with an E-step that these data ask for."""
    if model.layout is not None:
        return model
    check_functions(model, next(iter(source)))
    pool = draw_pool(source, np.random.default_rng(0), POOL_ROWS)
    functions = compiled(model.declaration, source.layout)
    return replace(model, estep=model.estep.prepared(functions, params.values, model.rows(pool), pool))


def batches(model: DeclaredModel, source: Source) -> Iterator[Batch]:
    """The source's batches with their columns as the model knows them from its fit.

    Raises
    ------
    DataError
        The columns are others, or what were whole numbers are none now; row and column are named.
    """
    known = model.layout
    if known is None or known == source.layout:
        yield from source
        return
    order = _order(known, source.layout)
    # A named tuple of the same fields is as good as that of the fit, and may be the user's own class again.
    own = known.record is not None and source.layout.record is not None
    layout = replace(known, record=source.layout.record if own else known.record)
    whole = np.repeat([piece.whole for piece in known.pieces], [piece.size for piece in known.pieces])
    for batch in source:
        values = np.ascontiguousarray(batch.values[:, order])
        _check_whole(values, whole, batch, known)
        yield replace(batch, values=values, layout=layout, memo={})


def _order(known: Layout, new: Layout) -> Array:
    """Where the columns that the model knows are in the new data."""
    starts = np.cumsum([0, *(piece.size for piece in new.pieces)])
    place = {piece.name: (piece, int(start)) for piece, start in zip(new.pieces, starts, strict=False)}
    lacking = [piece for piece in known.pieces if piece.name not in place]
    extra = set(place) - {piece.name for piece in known.pieces}
    if lacking or extra:
        raise DataError(f"the model was fitted to {_described(known)}, but these data are {_described(new)}")
    for piece in known.pieces:
        if place[piece.name][0].shape != piece.shape:
            raise DataError(
                f"{_place(piece)} must have shape {_shape(piece)} as at the fit, got {_shape(place[piece.name][0])}"
            )
    return np.concatenate([place[piece.name][1] + np.arange(piece.size) for piece in known.pieces])


def _check_whole(values: Array, whole: Array, batch: Batch, layout: Layout) -> None:
    wrong = np.argwhere(whole & (values != np.round(values)))
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"row {batch.row_of_unit(int(row), per_group=False)}, column {layout.names[column]!r} holds "
            f"{values[row, column]:g}, but held whole numbers only when the model was fitted"
        )


def _described(layout: Layout) -> str:
    if layout.pieces[0].name is None:
        return f"an array of shape {_shape(layout.pieces[0])}"
    return f"the columns {', '.join(str(piece.name) for piece in layout.pieces)}"


def _shape(piece: Piece) -> str:
    return f"({', '.join(['n', *map(str, piece.shape)])}{'' if piece.shape else ','})"


def _place(piece: Piece) -> str:
    return "x" if piece.name is None else f"x[{piece.name!r}]"


def _check_text(names: Set[str | None]) -> None:
    if names:
        raise DataError(f"column {min(map(str, names))!r} is text, but held numbers when the model was fitted")


def _column(given: Any, name: str) -> Array:
    if isinstance(given, Table):
        return np.asarray(given.select([name]).spelled()[:, 0] if name in given.levels else given.column(name))
    return np.asarray(getattr(given, name) if is_named_tuple(given) else given[name])
