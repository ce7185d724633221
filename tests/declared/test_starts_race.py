"""Starts of a declared model race: those that lie behind are given up, and the best is found all the same."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

import latentem as em
from latentem.execution import Serial
from latentem.inference import maxima
from latentem.models.declared import preparing

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Counting(Serial):
    """Counts the passes over the data."""

    passes = 0

    def fold(self, function: Any, source: Any) -> Any:
        self.passes += 1
        return super().fold(function, source)


def zero_inflated() -> tuple[Any, Any, dict[str, Any]]:
    example = run_path(str(EXAMPLES / "zero_inflated_poisson.py"))
    return example["articles"], em.datasets.load_biochemists(), {}


def two_normals() -> tuple[Any, Any, dict[str, Any]]:
    example = run_path(str(EXAMPLES / "gaussian_mixture.py"))
    return example["two_normals"], example["minutes"], {"tol": 1e-4}


@pytest.mark.parametrize(("of", "behind"), [(zero_inflated, True), (two_normals, False)])
def test_a_race_finds_the_same_best_in_fewer_passes(of, behind, monkeypatch):
    """Of the normals every start has ended before any is given up."""
    model, data, options = of()
    prepared: list[Any] = []
    prepare = preparing.prepare
    monkeypatch.setattr(preparing, "prepare", lambda *args: prepared.append(prepare(*args)) or prepared[-1])
    racing, walking = Counting(), Counting()
    shared = {"n_init": 8, "random_state": 0, "max_iter": 10_000, **options}
    raced = em.fit(model, data, executor=racing, **shared)
    assert len({id(one.basis) for one in prepared}) == 1
    monkeypatch.setattr(maxima, "ALL_TO_THE_END", 1000)
    walked = em.fit(model, data, executor=walking, **shared)
    assert raced.objective == pytest.approx(walked.objective, abs=2e-4)
    assert racing.passes < 0.95 * walking.passes if behind else racing.passes == walking.passes
    assert (raced.maxima.abandoned > 0) == behind and raced.maxima.replicated
    assert raced.converged and raced.n_iter <= shared["max_iter"]
