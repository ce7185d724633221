"""The score and the EM map to first order about a point: two E-steps for each free direction, or four."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._typing import FloatArray
from .edges import Free
from .surface import SHARE, Point, Surface


@dataclass(frozen=True)
class Linearized:
    """Derivatives in the free directions, which are measured by steps.

    Attributes
    ----------
    free : Free
    complete : (m, m)
        I_c = -∂²Q at fixed statistics, the prior included.
    hessian : (m, m)
        ∂ score, as differenced: symmetric up to its error.
    em_map : (m, m)
        ∂M.
    score : (m,)
    em_step : (m,)
        M(θ) - θ.
    ends : (m,)
        -1 or 1 where the model ends in that sense of a direction, 0 where it goes on both ways.
    """

    free: Free
    complete: FloatArray
    hessian: FloatArray
    em_map: FloatArray
    score: FloatArray
    em_step: FloatArray
    ends: FloatArray

    @cached_property
    def observed(self) -> FloatArray:
        """I_o, the negative Hessian of the objective."""
        return np.asarray(-0.5 * (self.hessian + self.hessian.T))

    @cached_property
    def skew(self) -> FloatArray:
        """What of the differenced Hessian cannot be true."""
        return np.asarray(0.5 * (self.hessian - self.hessian.T))


def linearize(
    surface: Surface, point: Point, free: Free, complete: FloatArray, fourth: bool = False
) -> Linearized:
    """2m E-steps, each with its M-step; 4m for differences of fourth order.

    Parameters
    ----------
    surface : Surface
    point : Point
    free : Free
    complete : (d, d)
        I_c in coordinates.
    fourth : bool
        Whether differences should be of fourth order.
    """
    moves = free.moves
    ends = np.array([end_of_model(surface, point, moves[:, j]) for j in range(moves.shape[1])])
    slopes = [differences(surface, point, moves[:, j], end, fourth) for j, end in enumerate(ends)]
    shape = (len(point.vector), len(slopes))
    scores = np.array([score for score, _ in slopes]).T.reshape(shape)
    maps = np.array([em for _, em in slopes]).T.reshape(shape)
    return Linearized(
        free=free,
        complete=moves.T @ complete @ moves,
        hessian=moves.T @ scores,
        em_map=free.inside(maps),
        score=moves.T @ point.score,
        em_step=free.inside(point.em_vector - point.vector),
        ends=ends,
    )


def end_of_model(surface: Surface, point: Point, move: FloatArray) -> float:
    """The sense of a move in which the model admits no parameters: 1, -1, or 0 for neither."""
    admissible = surface.problem.model.admissible
    for sense in (1.0, -1.0):
        if not admissible(surface.template.unflatten(point.vector + sense * SHARE * move)):
            return sense
    return 0.0


def differences(
    surface: Surface, point: Point, move: FloatArray, end: float = 0.0, fourth: bool = False
) -> tuple[FloatArray, FloatArray]:
    """The derivatives of score and EM map, (d,) each, along a move: central, or one-sided where the model ends.

    Parameters
    ----------
    surface, point : Surface, Point
    move : (d,)
        A step in coordinates.
    end : {-1, 0, 1}
        The sense in which the model ends.
    fourth : bool
        Whether central differences should be of fourth order.
    """
    if end:
        one, two = (surface.at(point.vector - times * end * SHARE * move) for times in (1, 2))
        return (
            -end * (4 * one.score - two.score - 3 * point.score) / (2 * SHARE),
            -end * (4 * one.em_vector - two.em_vector - 3 * point.em_vector) / (2 * SHARE),
        )
    near = _central(surface, point, move, SHARE)
    if not fourth:
        return near
    far = _central(surface, point, move, 2 * SHARE)
    return (4 * near[0] - far[0]) / 3, (4 * near[1] - far[1]) / 3


def _central(surface: Surface, point: Point, move: FloatArray, share: float) -> tuple[FloatArray, FloatArray]:
    ahead, behind = (surface.at(point.vector + sense * share * move) for sense in (1, -1))
    return (ahead.score - behind.score) / (2 * share), (ahead.em_vector - behind.em_vector) / (2 * share)
