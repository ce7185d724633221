"""Ready forms of state space models for one series, and sums: level, trend, season, autoregression, regression.

Each component is a block of states with its transition, noise, loadings and start; a sum has the blocks side by side
and
observes the sum of what they show (Harvey 1989, chapter 2; Durbin and Koopman 2012, chapter 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ParameterError


@dataclass(frozen=True)
class Component:
    """A block of q states of one series.

    Attributes
    ----------
    transition : nested tuple (q, q) of numbers and None
        Entries as `NormalChain` takes them: a number holds, None is free, a name makes equal.
    noise : tuple (q,) of numbers, None and names
    loadings : tuple (q,) of numbers
    initial : tuple (q,) of "diffuse" and "stationary"
    names : tuple (q,) of str
        What each state is.
    columns : tuple (q,) of int and None, optional
        The column of the inputs that multiplies the loading of each state; None: nothing does.
    """

    transition: tuple[tuple[Any, ...], ...]
    noise: tuple[Any, ...]
    loadings: tuple[float, ...]
    initial: tuple[str, ...]
    names: tuple[str, ...]
    columns: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", (None,) * len(self.noise))

    @property
    def n_columns(self) -> int:
        """How many columns of the inputs it takes: those up to the last that it names."""
        return max((c + 1 for c in self.columns if c is not None), default=0)

    def __add__(self, other: Component) -> Component:
        if not isinstance(other, Component):
            return NotImplemented
        p, q = len(self.noise), len(other.noise)
        above = tuple((*row, *(0.0,) * q) for row in self.transition)
        below = tuple((*(0.0,) * p, *row) for row in other.transition)
        taken = {entry for entry in self.noise if isinstance(entry, str)}
        theirs = tuple(f"{entry}'" if entry in taken else entry for entry in other.noise)
        return Component(
            above + below,
            self.noise + theirs,
            self.loadings + other.loadings,
            self.initial + other.initial,
            self.names + other.names,
            self.columns + tuple(None if c is None else c + self.n_columns for c in other.columns),
        )


def local_level() -> Component:
    """A random walk: zₜ = zₜ₋₁ + wₜ, diffuse at the start."""
    return Component(((1.0,),), (None,), (1.0,), ("diffuse",), ("level",))


def local_linear_trend(*, smooth: bool = False) -> Component:
    """A level with a slope, both random walks: μₜ = μₜ₋₁ + βₜ₋₁ + wₜ, βₜ = βₜ₋₁ + vₜ; diffuse at the start.

    With `smooth` the level has no noise of its own, so that the trend is an integrated random walk.
    """
    noise = (0.0 if smooth else None, None)
    return Component(((1.0, 1.0), (0.0, 1.0)), noise, (1.0, 0.0), ("diffuse",) * 2, ("level", "slope"))


def seasonal(period: int, *, form: str = "dummy", fixed: bool = False) -> Component:
    """A pattern that repeats every `period` steps and may drift; diffuse at the start.

    Parameters
    ----------
    period : int
        At least 2.
    form : {"dummy", "trigonometric"}
        "dummy": γₜ = -(γₜ₋₁ + … + γₜ₋ₛ₊₁) + wₜ.  "trigonometric": waves of ⌊s/2⌋ frequencies 2πj/s, whose amplitudes
        are
        random walks with one variance.
    fixed : bool
        Whether the pattern is held constant: without noise.
    """
    if not isinstance(period, int | np.integer) or period < 2:
        raise ParameterError(f"period must be a whole number of at least 2, got {period!r}")
    if form not in ("dummy", "trigonometric"):
        raise ParameterError(f'form must be "dummy" or "trigonometric", got {form!r}')
    q = period - 1
    names = tuple(f"season {i}" for i in range(q))
    if form == "dummy":
        transition = np.eye(q, k=-1)
        transition[0] = -1.0
        noise: tuple[Any, ...] = (0.0 if fixed else None, *(0.0,) * (q - 1))
        return Component(_entries(transition), noise, (1.0, *(0.0,) * (q - 1)), ("diffuse",) * q, names)
    transition, loadings = np.zeros((q, q)), np.zeros(q)
    for j in range(1, period // 2 + 1):
        at, angle = 2 * (j - 1), 2 * np.pi * j / period
        loadings[at] = 1.0
        wave = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        transition[at : at + 2, at : at + 2] = wave if 2 * j < period else -1.0
    noise = (0.0 if fixed else "season",) * q
    return Component(_entries(transition), noise, tuple(loadings.tolist()), ("diffuse",) * q, names)


def autoregression(order: int = 1) -> Component:
    """zₜ = φ₁ zₜ₋₁ + … + φₚ zₜ₋ₚ + wₜ, stationary, in companion form."""
    if not isinstance(order, int | np.integer) or order < 1:
        raise ParameterError(f"order must be a whole number of at least 1, got {order!r}")
    shifted = _entries(np.eye(order, k=-1))
    rest = (0.0,) * (order - 1)
    names = tuple("autoregression" if i == 0 else f"autoregression, {i} before" for i in range(order))
    return Component(((None,) * order, *shifted[1:]), (None, *rest), (1.0, *rest), ("stationary",) * order, names)


def regression(n_regressors: int = 1, *, fixed: bool = False) -> Component:
    """β₁ u₁ + … + βₖ uₖ with coefficients βₜ = βₜ₋₁ + wₜ, each a random walk with a variance of its own; diffuse.

    The u are columns of the inputs, in order; a sum's second regression takes those after the first one's.

    Parameters
    ----------
    n_regressors : int
        k.
    fixed : bool
        Whether the coefficients are constant: without noise.

    Source: Harvey (1989), section 7.6; Durbin and Koopman (2012), section 3.6.
    """
    k = n_regressors
    if not isinstance(k, int | np.integer) or k < 1:
        raise ParameterError(f"the number of regressors must be a whole number of at least 1, got {k!r}")
    noise = (0.0 if fixed else None,) * k
    names = tuple(f"coefficient {i}" for i in range(k))
    return Component(_entries(np.eye(k)), noise, (1.0,) * k, ("diffuse",) * k, names, tuple(range(k)))


def _entries(matrix: Any) -> tuple[tuple[Any, ...], ...]:
    return tuple(map(tuple, matrix.tolist()))
