"""Markov chains by brute force: what follows from the weight of every path, in NumPy."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp


@dataclass(frozen=True)
class Tables:
    """log p of first states (K,), of steps into each row (n, K, K), and of rows given states (n, K), in NumPy."""

    initial: np.ndarray
    steps: np.ndarray
    emission: np.ndarray

    def of_path(self, path: tuple[int, ...], start: int) -> float:
        total = self.initial[path[0]] + self.emission[start, path[0]]
        for t in range(1, len(path)):
            total += self.steps[start + t, path[t - 1], path[t]] + self.emission[start + t, path[t]]
        return float(total)


def enumerate_paths(tables: Tables, lengths: list[int], known: np.ndarray | None = None) -> Any:
    """Probabilities (K, n), pairs (K, K) a sequence, log-likelihoods, and the weight of every path of each sequence."""
    k, n = len(tables.initial), sum(lengths)
    posterior, pairs, totals, weighted = np.zeros((k, n)), np.zeros((len(lengths), k, k)), [], []
    start = 0
    for g, length in enumerate(lengths):
        rows = slice(start, start + length)
        paths = [
            path
            for path in itertools.product(range(k), repeat=length)
            if known is None or np.all((known[rows] < 0) | (known[rows] == path))
        ]
        logs = np.array([tables.of_path(path, start) for path in paths])
        totals.append(logsumexp(logs))
        for path, weight in zip(paths, np.exp(logs - totals[-1]), strict=True):
            posterior[path, start + np.arange(length)] += weight
            np.add.at(pairs[g], (path[:-1], path[1:]), weight)
            weighted.append((path, start, weight))
        start += length
    return posterior, pairs, np.array(totals), weighted
