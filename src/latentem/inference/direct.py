"""Optimizers that know the objective and its gradient, and nothing of z: what EM is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .._typing import FloatArray
from ..em import Problem
from ..errors import LatentemError
from .examined import ground
from .linearize import linearize
from .surface import Surface
from .unit_scores import Line, outer_products

HALVINGS = 12
# Eigenvalues of a curvature below this share of the largest count as that.
FLATTEST = 1e-8
# What stands in for an objective that cannot be evaluated: worse by so much than the last.
WORSE = 1e6


@dataclass
class Course:
    """Passes, seconds and objectives of a method as it goes."""

    problem: Problem
    passes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    objectives: list[float] = field(default_factory=list)
    falls: int = 0
    impossible: int = 0
    begun: float = field(default_factory=time.perf_counter)

    def note(self, passes: int, seconds: float, objective: float, fell: bool) -> None:
        """One more point of the course."""
        self.passes.append(passes)
        self.seconds.append(seconds)
        self.objectives.append(objective)
        self.falls += fell

    def arrive(self, surface: Surface, objective: float) -> None:
        """One more point of a method that does not know whether it falls."""
        before = self.objectives[-1] if self.objectives else -np.inf
        fell = objective < before - 1e-9 * (1 + abs(before))
        self.note(surface.passes, time.perf_counter() - self.begun, objective, fell)

    def look(self, surface: Surface, vector: FloatArray) -> tuple[float, FloatArray] | None:
        """Objective and gradient, or None where there are none."""
        try:
            if surface.admits(vector):
                objective, score = surface.look(vector)
                if np.isfinite(objective) and np.all(np.isfinite(score)):
                    return objective, score
        except (LatentemError, ArithmeticError, ValueError):
            pass
        self.impossible += 1
        return None


def lbfgs(course: Course, start: Any, tol: float, max_iter: int) -> None:
    """Limited-memory BFGS on the unconstrained vector (Byrd, Lu, Nocedal and Zhu 1995), as SciPy has it."""
    surface, last = Surface(course.problem, start), [0.0]

    def negative(vector: FloatArray) -> tuple[float, FloatArray]:
        found = course.look(surface, vector)
        if found is None:
            return last[0] + WORSE, np.zeros_like(vector)
        last[0] = -found[0]
        return -found[0], -found[1]

    first = course.look(surface, start.flatten())
    assert first is not None, "the start was evaluated by EM too"
    course.arrive(surface, first[0])

    def watch(intermediate_result: Any) -> None:
        course.arrive(surface, -float(intermediate_result.fun))

    options = {"maxfun": max_iter, "maxiter": max_iter, "ftol": tol / max(1.0, abs(first[0])) / 100, "gtol": 0.0}
    minimize(negative, start.flatten(), jac=True, method="L-BFGS-B", callback=watch, options=options)


def newton(course: Course, start: Any, tol: float, max_iter: int) -> None:
    """Newton's method with the Hessian from differences of the score, eigenvalues by their magnitude, steps halved."""

    def direction(surface: Surface, vector: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        point, _, _, complete, free = ground(surface, vector)
        linear = linearize(surface, point, free, complete)
        step = _solved(linear.observed, linear.score)
        return point.objective, point.score, free.moves @ step

    _ascend(course, start, tol, max_iter, direction)


def natural_gradient(course: Course, start: Any, tol: float, max_iter: int) -> None:
    """Steps F⁻¹ s with the empirical Fisher information F = Σ sₙ sₙᵀ of the units' scores (Amari 1998), halved."""

    def direction(surface: Surface, vector: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        point, _, _, _, free = ground(surface, vector)
        line = Line(surface.problem.model, surface.template, vector, free.moves)
        fisher = outer_products(line, surface.problem.executor, surface.problem.source)
        surface.passes += 4 * line.m
        return point.objective, point.score, free.moves @ _solved(fisher, free.moves.T @ point.score)

    _ascend(course, start, tol, max_iter, direction)


def _solved(matrix: FloatArray, slope: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    size = np.maximum(np.abs(values), FLATTEST * float(np.abs(values).max(initial=0.0)) + np.finfo(float).tiny)
    return np.asarray(vectors @ ((vectors.T @ slope) / size))


Direction = Callable[[Surface, FloatArray], tuple[float, FloatArray, FloatArray]]


def _ascend(course: Course, start: Any, tol: float, max_iter: int, direction: Direction) -> None:
    """Steps along the directions, halved until the objective rises, until the expected gain is within the tolerance."""
    surface, vector = Surface(course.problem, start), start.flatten()
    while surface.passes < max_iter:
        objective, score, step = direction(surface, vector)
        course.arrive(surface, objective)
        slope = float(score @ step)
        if 0.5 * slope <= tol:
            return
        for halving in range(HALVINGS):
            there = vector + step * 0.5**halving
            found = course.look(surface, there)
            if found is not None and found[0] > objective:
                break
        else:
            return
        vector = there


DIRECT: dict[str, Callable[[Course, Any, float, int], None]] = {
    "l-bfgs": lbfgs,
    "newton": newton,
    "natural-gradient": natural_gradient,
}
