"""How often 95 % intervals hold the truth: standard errors by Oakes' identity over simulated data, model by model.

    python benchmarks/coverage.py --replicates 20000 --jobs 2

Goes on from what is in `--out`; data are drawn from a stream for each fifty replicates.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import latentem as em
from latentem.data import ArraySource
from latentem.execution import Serial
from latentem.families.bernoulli import Bernoulli, BernoulliParameters
from latentem.families.gaussian import (
    DiagonalGaussian,
    DiagonalGaussianParameters,
    FullGaussian,
    FullGaussianParameters,
)
from latentem.families.gaussian_regression import DiagonalRegressionParameters
from latentem.families.linear_gaussian import LinearGaussian, LinearGaussianParameters
from latentem.families.linear_regression import LinearRegression
from latentem.families.multinomial import Multinomial, MultinomialParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.families.student_t_diagonal import DiagonalStudentT, DiagonalStudentTParameters
from latentem.families.truncated import Truncated, TruncatedParameters
from latentem.families.zero_inflated import ZeroInflated, ZeroInflatedParameters
from latentem.inference import natural
from latentem.inference.resampling import simulated
from latentem.latents import Categorical, MarkovChain, Normal
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.latents.normal import NormalParameters
from latentem.model import LatentVariableModel, ModelParameters

CHUNK = 50


@dataclass(frozen=True)
class Trial:
    """A model, its true parameters, and data whose shape every replicate has."""

    model: Any
    truth: Any
    design: Any


def mixture(weights: Any, emission: Any) -> ModelParameters:
    return ModelParameters(CategoricalParameters(np.array(weights, float)), emission)


def column(*values: float) -> Any:
    return np.array(values, float)[:, None]


def rows(n: int, d: int = 1, **more: Any) -> ArraySource:
    return ArraySource(np.ones((n, d)), **more)


def holes(n: int) -> ArraySource:
    rng = np.random.default_rng(0)
    return ArraySource(np.where(rng.random((n, 2)) < np.array([0.0, 0.4]), np.nan, 1.0))


def regressors(n: int) -> Any:
    return np.random.default_rng(0).normal(size=(n, 1))


def trials() -> dict[str, Callable[[], Trial]]:
    """Each model by its name, made where it is needed."""
    two = Categorical(2)
    items = np.array([[0.85, 0.8, 0.75, 0.9, 0.8], [0.2, 0.25, 0.3, 0.15, 0.2]])
    lines = np.array([[[0.0, 1.5]], [[4.0, -1.0]]])
    return {
        "Gaussian mixture": lambda: Trial(
            LatentVariableModel(two, DiagonalGaussian()),
            mixture([0.4, 0.6], DiagonalGaussianParameters(column(-2, 2), column(1, 1.5))),
            rows(600),
        ),
        "Poisson mixture": lambda: Trial(
            LatentVariableModel(two, Poisson()), mixture([0.4, 0.6], PoissonParameters(column(2, 10))), rows(400)
        ),
        "latent class analysis": lambda: Trial(
            LatentVariableModel(two, Bernoulli()), mixture([0.45, 0.55], BernoulliParameters(items)), rows(800, 5)
        ),
        "multinomial mixture": lambda: Trial(
            LatentVariableModel(two, Multinomial(n_trials=12)),
            mixture([0.5, 0.5], MultinomialParameters(np.array([[0.6, 0.3, 0.1], [0.15, 0.35, 0.5]]))),
            rows(400, 3),
        ),
        "zero-inflated Poisson": lambda: Trial(
            LatentVariableModel(Categorical(1), ZeroInflated(Poisson())),
            mixture([1.0], ZeroInflatedParameters(np.array([0.3]), PoissonParameters(column(3)))),
            rows(400),
        ),
        "truncated Poisson": lambda: Trial(
            LatentVariableModel(Categorical(1), Truncated(Poisson(), low=1)),
            mixture([1.0], TruncatedParameters(PoissonParameters(column(1.5)))),
            rows(400),
        ),
        "Student t": lambda: Trial(
            LatentVariableModel(Categorical(1), DiagonalStudentT(dof=4.0)),
            mixture([1.0], DiagonalStudentTParameters(column(1), column(2), np.empty(0))),
            rows(300),
        ),
        "normal with missing values": lambda: Trial(
            LatentVariableModel(Categorical(1), FullGaussian()),
            mixture([1.0], FullGaussianParameters(np.array([[1.0, -1.0]]), np.array([[[1.0, 0.7], [0.7, 2.0]]]))),
            holes(400),
        ),
        "mixture of regressions": lambda: Trial(
            LatentVariableModel(two, LinearRegression(covariance="diagonal")),
            mixture([0.4, 0.6], DiagonalRegressionParameters(lines, column(0.5, 0.8))),
            rows(500, covariates=regressors(500)),
        ),
        "Poisson hidden Markov model": lambda: Trial(
            LatentVariableModel(MarkovChain(2, fixed_initial=[0.5, 0.5]), Poisson()),
            ModelParameters(
                MarkovChain(2, fixed_initial=[0.5, 0.5]).conform(
                    MarkovChainParameters(np.array([0.5, 0.5]), np.array([[0.85, 0.15], [0.25, 0.75]]))
                ),
                PoissonParameters(column(2, 9)),
            ),
            rows(1600, lengths=[80] * 20),
        ),
        "factor analysis": lambda: Trial(
            LatentVariableModel(Normal(1), LinearGaussian()),
            ModelParameters(
                NormalParameters(np.zeros(1), np.eye(1)),
                LinearGaussian().conform(
                    LinearGaussianParameters.of(np.zeros(4), column(1, 0.8, 0.9, 0.7), np.diag([0.5, 0.6, 0.4, 0.7]))
                ),
            ),
            rows(2000, 4),
        ),
    }


def covered(name: str, seed: int, count: int) -> tuple[list[str], Any, int]:
    """Names of the entries, how often each interval held the truth, and how many fits had a number for all."""
    trial = trials()[name]()
    truth, labels = natural.entries(trial.truth), natural.labels(trial.truth)
    hits, fits, kept = np.zeros(len(truth)), 0, np.ones(len(truth), bool)
    for rng in np.random.default_rng(seed).spawn(count):
        data = simulated(trial.model, trial.truth, trial.design, rng)
        result = em.fit(trial.model, data, parameters=trial.truth, executor=Serial(), tol=1e-7, max_iter=5000)
        errors = result.standard_errors(refine=False, executor=Serial())
        ends = errors.intervals(0.95)
        kept &= [errors.reasons.get(label) != "it is held where it is" for label in labels]
        hits += (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        fits += not np.isnan(errors.errors[kept]).any()
    return [label for label, one in zip(labels, kept, strict=True) if one], hits[kept], fits


def shares(name: str, known: dict[str, Any], replicates: int, pool: ProcessPoolExecutor) -> Iterator[dict[str, Any]]:
    """What is known after each chunk, from what was known before."""
    done, fits = known.get("replicates", 0), known.get("with all errors", 0)
    total = np.array(list(known.get("coverage", {}).values())) * done
    starts = range(done, replicates, CHUNK)
    futures = [pool.submit(covered, name, first // CHUNK, CHUNK) for first in starts]
    for future in futures:
        labels, hits, sound = future.result()
        total = total + hits if len(total) else hits
        done, fits = done + CHUNK, fits + sound
        yield {"replicates": done, "with all errors": fits, "coverage": dict(zip(labels, total / done, strict=True))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--models", nargs="*", default=list(trials()))
    parser.add_argument("--out", type=Path, default=Path("out/coverage.json"))
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {}
    print(f"{'model':30} {'replicates':>10} {'lowest':>8} {'highest':>8}")
    with ProcessPoolExecutor(options.jobs) as pool:
        for name in options.models:
            for known in shares(name, found.get(name, {}), options.replicates, pool):
                found[name] = known
                options.out.write_text(json.dumps(found, indent=1))
            ends = found[name]["coverage"].values()
            print(f"{name:30} {found[name]['replicates']:10} {min(ends):8.2%} {max(ends):8.2%}", flush=True)


if __name__ == "__main__":
    main()
