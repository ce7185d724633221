"""Directions that curvature does not decide: step along them, let the others follow, and see what the objective does.

Two components that are alike can give a curvature of exactly zero and still be no maximum; so can a true ridge, along
which the parameters may move without any change of the likelihood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from .._typing import FloatArray
from ..errors import LatentemError
from ..kernels.rotations import rotate
from .linearize import Linearized
from .spectrum import Spectrum
from .surface import Point, Surface

# How far to step, in standard deviations of a single unit.
DISTANCES = (0.1, 0.03)
CORRECTIONS = 4
COMBINATIONS = 4


class Found(Enum):
    """What a step along a flat direction found."""

    RISE = "rises"
    FALL = "falls"
    LEVEL = "stays level"
    UNCLEAR = "cannot be told"


@dataclass(frozen=True)
class Probe:
    """A step along a direction, with the other directions brought to where the objective is largest given that step.

    Attributes
    ----------
    direction : (m,)
        In the free directions, vᵀ I_c v = 1.
    found : Found
    point : Point
        Where it ended.
    """

    direction: FloatArray
    found: Found
    point: Point


@dataclass(frozen=True)
class _Scene:
    """Where to step from, and what there is known of the curvature."""

    surface: Surface
    linear: Linearized
    spectrum: Spectrum
    lengths: FloatArray

    def settle(self, vector: FloatArray, above: float = np.inf) -> tuple[Point, float]:
        """Newton steps in the directions that are not flat: where they end, and by how much they could still rise.

        Ends early where the objective is above a number.
        """
        moves, spectrum = self.linear.free.moves, self.spectrum
        across = spectrum.vectors[:, ~spectrum.flat]
        stiffness = np.maximum(np.abs(spectrum.curvatures[~spectrum.flat]), spectrum.error)
        for correction in range(CORRECTIONS):
            point = self.surface.at(vector)
            slope = across.T @ (moves.T @ point.score)
            left = 0.5 * float(np.sum(slope**2 / stiffness))
            if left <= point.rounding or correction == CORRECTIONS - 1 or point.objective > above:
                break
            vector = vector + moves @ (across @ (slope / stiffness))
        return point, left


def probes(
    surface: Surface, point: Point, linear: Linearized, spectrum: Spectrum, lengths: FloatArray, most: int
) -> Iterator[Probe]:
    """Steps along the flat directions, both ways, and along some of their combinations, for at most so many passes.

    Ends where one rises: then the point is no maximum.
    """
    stop = surface.passes + most
    scene = _Scene(surface, linear, spectrum, lengths)
    base, left = scene.settle(point.vector)
    for direction in _directions(spectrum):
        for sign in (1.0, -1.0):
            for distance in DISTANCES:
                if surface.passes + CORRECTIONS > stop:
                    return
                probe = _probe(scene, base, left, sign * direction, distance)
                yield probe
                if probe.found is Found.RISE:
                    return
                if probe.found is not Found.UNCLEAR:
                    break


def _directions(spectrum: Spectrum) -> Iterator[FloatArray]:
    """The flat directions, turned so that each is of few coordinates, as ridges mostly are; then some mixtures."""
    flat = spectrum.vectors[:, spectrum.flat]
    scale = np.sqrt(np.maximum(np.diagonal(spectrum.metric), np.finfo(float).tiny))
    turned = flat @ rotate(flat * scale[:, None], "varimax").transform
    yield from turned.T
    if flat.shape[1] > 1:
        for mixture in np.random.default_rng(0).normal(size=(COMBINATIONS, flat.shape[1])):
            yield flat @ mixture / np.linalg.norm(mixture)


def _probe(scene: _Scene, base: Point, left: float, direction: FloatArray, distance: float) -> Probe:
    """One step, and the others settled; `left` is by how much the objective could still rise at the base itself."""
    move = scene.linear.free.moves @ direction
    length = distance * np.sqrt(scene.surface.units(base))
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(move != 0, 0.5 * scene.lengths / np.abs(length * move), np.inf)
    length *= min(1.0, float(np.nanmin(bend)))
    bound = 2 * (2 * base.rounding + left)
    try:
        there, more = scene.settle(base.vector + length * move, base.objective + bound)
    except (LatentemError, ArithmeticError, ValueError):
        return Probe(direction, Found.UNCLEAR, base)
    if not scene.surface.problem.model.admissible(there.parameters):
        return Probe(direction, Found.UNCLEAR, base)
    return Probe(direction, _judged(there.objective - base.objective, more, bound), there)


def _judged(rise: float, left: float, bound: float) -> Found:
    """What the objective did, where the others could still raise it by about `left`."""
    if rise > bound:
        return Found.RISE
    if rise + 4 * left < -bound:
        return Found.FALL
    return Found.LEVEL if left <= 10 * bound else Found.UNCLEAR
