"""Reference cases: a data set, a model, and values that others published or computed.

A case is a folder with `case.json` and `data.csv`.  Those that may be copied are in `data/`, with their source; others
are read from `../shared/reference` beside the repository, and their tests are skipped where that is absent.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentem.em import iterate
from latentem.execution import Serial
from latentem.fitting import fit
from latentem.latents.categorical import CategoricalParameters
from latentem.model import ModelParameters
from latentem.result import EMResult, Iteration
from latentem.sources import as_source

COPIED = Path(__file__).parent / "data"
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "reference"


@dataclass(frozen=True)
class Case:
    """One reference case, in a folder of its own."""

    folder: Path

    @cached_property
    def record(self) -> dict[str, Any]:
        """What `case.json` says: model, start, expected values, tolerances, source, note."""
        document: dict[str, Any] = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        return document

    @property
    def expected(self) -> Any:
        return self.record["expected"]

    @property
    def tolerance(self) -> Any:
        return self.record["tolerance"]

    def columns(self, *names: str, file: str = "data.csv") -> np.ndarray:
        """The named columns of numbers (all, if none are named), shape (n, D); an empty entry is NaN."""
        with (self.folder / file).open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        chosen = names or tuple(rows[0])
        return np.array([[float(row[name] or "nan") for name in chosen] for row in rows])


def case(name: str) -> Case:
    """The case of that name; the calling test is skipped where its data are not at hand."""
    for home in (COPIED, BESIDE):
        if (home / name / "case.json").is_file():
            return Case(home / name)
    pytest.skip(f"the data of {name} are not ours to distribute, and they are not in {BESIDE}")


def start(weights: Any, emission: Any) -> ModelParameters:
    """Parameters of a mixture: weights (K,) and those of its family."""
    return ModelParameters(CategoricalParameters(np.atleast_1d(np.asarray(weights, float))), emission)


def fit_tightly(model: Any, data: Any, **options: Any) -> EMResult:
    """A fit until the objective changes by no more than its rounding error; it must say that it converged."""
    result = fit(model, data, **{"tol": 0.0, "max_iter": 20_000, "executor": Serial()} | options)
    assert result.converged, result.status.value
    return result


def em_steps(model: Any, data: Any, parameters: Any, n: int, **columns: Any) -> list[Iteration]:
    """The start and n plain EM steps from it, whether or not there is anything left to gain."""
    return list(islice(iterate(model, as_source(data, **columns), parameters, executor=Serial()), n + 1))


def log_likelihoods(steps: list[Iteration]) -> np.ndarray:
    return np.array([step.log_likelihood for step in steps])


def one_hot(labels: Any, n_states: int) -> np.ndarray:
    """(n, K) responsibilities of a hard partition into classes numbered from 0."""
    return np.eye(n_states)[np.asarray(labels, int).ravel()]


def near(expected: float, tolerance: float) -> Any:
    """Equal to a number within an absolute tolerance."""
    return pytest.approx(expected, abs=tolerance, rel=0)


def within(tolerance: float, relative: bool = False) -> Callable[..., None]:
    """`assert_allclose` with one absolute or one relative tolerance."""
    bounds = {"rtol": tolerance, "atol": 0.0} if relative else {"rtol": 0.0, "atol": tolerance}
    return partial(np.testing.assert_allclose, **bounds)
