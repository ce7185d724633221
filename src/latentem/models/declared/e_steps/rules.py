"""Quadrature rules for functions that look like a standard normal density in d dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ...._typing import FloatArray

# Nodes a dimension, by the number of dimensions.
COUNTS = {
    1: (7, 11, 15, 21, 31, 61, 91, 131, 191, 271, 391, 551),
    2: (7, 11, 15, 21, 31, 45, 61, 91),
    3: (5, 7, 9, 11, 13, 17, 21, 31),
}
# Up to so many nodes Gauss-Hermite is the better rule; with more the trapezoidal rule is, whose error falls with
# exp(-2π s/h) for functions analytic at distance s from the real line, against exp(-s √(2n)) and the like.
MOST_HERMITE = 31
# The trapezoidal rule ends where a normal density has fallen to exp(-40).
END = 9.0
LEAST_TRAPEZOIDAL = 61
# By which shares of a step the nodes of other rules are shifted.
SHIFTS = (0.5, 0.21)


@dataclass(frozen=True)
class Rule:
    """∫ f(t) dt ≈ Σ exp(log_weights) f(t).

    Attributes
    ----------
    t : (J, d)
    log_weights : (J,)
    detectors : (J, q)
        Σ p · detector, over the nodes' shares p of the integral, goes to 0 with the error of the rule, as about its
        square root: the highest Hermite coefficients of f that the rule knows, or the difference that every other
        node makes.
    edge : (J,)
        Σ p · edge is about the share of the integral that lies beyond the nodes, where the detectors do not see it.
    """

    t: FloatArray
    log_weights: FloatArray
    detectors: FloatArray
    edge: FloatArray

    def __len__(self) -> int:
        return len(self.t)


@lru_cache(maxsize=64)
def product_rule(count: int, d: int) -> Rule:
    """The product of d rules of `count` nodes each."""
    t, log_weights, detectors = _hermite(count) if count <= MOST_HERMITE else _trapezoid(count)
    index = np.stack([axis.ravel() for axis in np.meshgrid(*[np.arange(count)] * d, indexing="ij")], axis=1)
    at_edge = np.any((index == 0) | (index == count - 1), axis=1)
    edge = np.where(at_edge & (count > MOST_HERMITE), 1 / (t[1] - t[0]), 0.0)
    return Rule(t[index], log_weights[index].sum(axis=1), detectors[index].reshape(len(index), -1), edge)


@lru_cache(maxsize=64)
def other_rules(count: int, d: int) -> tuple[Rule, ...]:
    """Rules that are as fine as the product rule of `count` nodes, with nodes elsewhere: to be held against it.

    What the product rule gets right by chance, or takes no notice of between its nodes, they do not get right as well:
    trapezoidal rules with shifted nodes in one dimension, and turned product rules in more.
    """
    if d == 1:
        rule = product_rule(max(count, LEAST_TRAPEZOIDAL), d)
        step = rule.t[1] - rule.t[0]
        return tuple(replace(rule, t=rule.t + by * step) for by in SHIFTS)
    rule, rng = product_rule(count, d), np.random.default_rng(0)
    turns = (np.linalg.qr(rng.normal(size=(d, d)))[0] for _ in SHIFTS)
    return tuple(replace(rule, t=rule.t @ turn) for turn in turns)


def _hermite(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    t, weights = np.polynomial.hermite_e.hermegauss(count)
    polynomials = [np.zeros(count), np.ones(count)]
    for k in range(1, count):
        polynomials.append((t * polynomials[-1] - np.sqrt(k - 1) * polynomials[-2]) / np.sqrt(k))
    return t, np.log(weights) + 0.5 * t**2, np.stack(polynomials[-2:], axis=1)


def _trapezoid(count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    t = np.linspace(-END, END, count)
    return t, np.full(count, np.log(t[1] - t[0])), np.where(np.arange(count) % 2, -1.0, 1.0)[:, None]
