"""What cannot be: rows outside a support, and units that no state can have produced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import Batch, Source
from ..densities import Form
from ..errors import DataError, LatentemError, name_columns
from .contracts import Family, Model


def check_source(model: Family[Any, Any] | Model, source: Source) -> None:
    """One pass over the data that raises where a row lies outside the model's support, and likewise for its prior."""
    model.check_prior(source.n_columns)
    for batch in source:
        check_batch(model, batch, source.names)


def check_batch(model: Family[Any, Any] | Model, batch: Batch, names: Sequence[str]) -> None:
    """Raise where a row lies outside the model's support, with its column by name."""
    try:
        model.check(batch)
    except DataError as error:
        raise DataError(name_columns(str(error), names)) from error


def impossible(log_likelihood: FloatArray, batch: Batch, per_group: bool, form: Form) -> LatentemError:
    """The error about the first unit whose log-likelihood is not finite."""
    unit = int(np.flatnonzero(~np.isfinite(log_likelihood))[0])
    row = batch.row_of_unit(unit, per_group)
    if per_group and batch.group_lengths[unit] > 1:
        hint = "rescale the columns, start from larger variances"
        if form is Form.TABLE:
            hint = "allow more transitions (probabilities of 0 stay 0), widen the support"
        return DataError(
            f"{_group_in_words(batch, unit)} log-likelihood {log_likelihood[unit]} together at the current "
            f"parameters: no states can have produced them one after the other; {hint}, or leave the rows out"
        )
    value = batch.values[batch.group_offsets[unit] if per_group else unit].tolist()
    return DataError(
        f"row {row} ({value}) has log-likelihood {log_likelihood[unit]} at the current parameters: no state can have "
        "produced it; remove the row, widen the support, or add a component for outliers (UniformNoise)"
    )


def _group_in_words(batch: Batch, group: int) -> str:
    row, n = batch.row_of_unit(group, True), int(batch.group_lengths[group])
    first = int(batch.group_offsets[group])
    adjacent = batch.rows is None or np.all(np.diff(batch.rows[first : first + n]) == 1)
    return f"the {n} rows from row {row} on have" if adjacent else f"the group of row {row} ({n} rows) has"
