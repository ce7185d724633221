"""Pictures of families: which picture each gets, for mixtures and for the states of chains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...families import (
    Autoregression,
    Bernoulli,
    CategoricalColumns,
    DiagonalGaussian,
    FullGaussian,
    FullStudentT,
    LinearRegression,
    LogisticRegression,
    Multinomial,
    PoissonRegression,
    SphericalGaussian,
    TiedGaussian,
    VonMisesFisher,
)
from ...families.student_t_diagonal import DiagonalStudentT
from .columns import columns
from .families import are_factor_models, bare
from .plane import directions, plane
from .profile import bernoulli, categories, multinomial
from .regression import regression
from .rows import some_groups, some_rows
from .subject import Shown, Subject

Painter = Callable[[Shown], dict[str, Any] | None]


def _plane_or_line(shown: Shown) -> dict[str, Any]:
    return columns(shown) if shown.batch.n_columns == 1 else plane(shown)


# What is not here has its columns drawn one by one.
PAINTERS: dict[type, Painter] = {
    FullGaussian: _plane_or_line,
    TiedGaussian: _plane_or_line,
    DiagonalGaussian: _plane_or_line,
    SphericalGaussian: _plane_or_line,
    FullStudentT: _plane_or_line,
    DiagonalStudentT: _plane_or_line,
    VonMisesFisher: directions,
    Bernoulli: bernoulli,
    CategoricalColumns: categories,
    Multinomial: multinomial,
    LinearRegression: regression,
    LogisticRegression: regression,
    PoissonRegression: regression,
    Autoregression: lambda shown: None,
}


def picture_of_family(shown: Shown) -> dict[str, Any] | None:
    """What is drawn of a family; None where nothing is."""
    if are_factor_models(shown.family):
        return plane(shown)
    return PAINTERS.get(type(shown.family), columns)(shown)


def mixture(subject: Subject) -> dict[str, Any] | None:
    """The picture of a mixture: of its family, with the rows marked by component.

    None where the density of a row depends on others.
    """
    alone = bare(subject.model.family, ())[0].rowwise
    return picture_of_family(shown_of(subject)) if alone else None


def shown_of(subject: Subject) -> Shown:
    """Rows, or whole groups where these share a component, with their responsibilities."""
    by_group = subject.model.per_group
    if by_group:
        batch = some_groups(subject.source, subject.row_limit)
        told = f"The {len(batch):,} rows of the first {batch.n_groups:,} groups are shown."
    else:
        batch = some_rows(subject.source, subject.row_limit, subject.rng)
        told = subject.shown_of(len(batch))
    found = np.stack([subject.model.infer(params, batch)[0].probabilities for params in subject.parameters])
    family, emissions = bare(subject.model.family, tuple(params.emission for params in subject.parameters))
    rows = np.repeat(found, batch.group_lengths, axis=2) if by_group else found
    weights = np.stack([params.latent.weights for params in subject.parameters])
    return Shown(subject, family, emissions, batch, rows, weights, "component", told)
