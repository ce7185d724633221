"""Information matrices by values of the objective alone, and the examination of any point."""

from __future__ import annotations

import numpy as np

from latentem.em import Problem
from latentem.execution import Serial
from latentem.inference.examined import Examination
from latentem.inference.surface import Surface
from latentem.kernels.derivatives import second_differences


def numerical_information(case, share=4.0):
    """-∂² of the objective in the free directions from its values alone, extrapolated to steps of length zero."""

    def objective(t):
        return case.surface.problem.evaluate(case.surface.template.unflatten(case.point.vector + case.moves @ t))[1]

    m = case.moves.shape[1]
    near, far = (second_differences(objective, np.zeros(m), np.full(m, h)) / h**2 for h in (share, 2 * share))
    return -(4 * near - far) / 3


def in_units(case, information):
    """The matrix in directions in which the complete data have the information 1."""
    return case.spectrum.vectors.T @ information @ case.spectrum.vectors


def examination_at(model, params, source, fourth=True):
    """The curvature at any point; a maximum is not asked for."""
    problem = Problem(model, source, Serial())
    return Examination.of(Surface(problem, params), source, params.flatten(), fourth)
