"""Runs every acceleration with every model of the zoo on random data: `python tests/fuzz_accelerations.py`.

Counts iterations until there are so many.  What may not happen: a fall of the objective beyond its rounding error, a
number that is not finite, an exception.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
import warnings
from itertools import islice, pairwise

import numpy as np
import zoo

from latentem.acceleration import SCHEMES
from latentem.data import ArraySource
from latentem.em import iterate
from latentem.errors import LatentemError
from latentem.execution import Serial
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.testing import draw

SLOW = ("Truncated", "Conjugate")  # scores by differences: a tenth of the cases
ITERATIONS = 60


def case(rng):
    """A model of the zoo, rows drawn from it, and a start that is off by chance."""
    names = [name for name in zoo.FAMILIES if name not in SLOW or rng.random() < 0.1]
    name, k = str(rng.choice(names)), int(rng.integers(1, 4))
    specimen = zoo.FAMILIES[name]
    family, params = specimen.of(k), specimen.parameters(k)
    batch, _ = draw(family, params, k, rng, int(rng.integers(10, 120)), specimen.n_covariates)
    latent = str(rng.choice(["Categorical", "MarkovChain"]))
    if family.per_group or name == "Autoregression":
        latent = "Categorical"
    lengths = batch.group_lengths if family.per_group else None
    if lengths is None and (latent == "MarkovChain" or not specimen.independent):
        lengths = [len(batch)]
    vector = params.flatten()
    begin = params.unflatten(vector + rng.normal(scale=rng.choice([0.0, 0.3, 1.0]), size=len(vector)))
    states = CategoricalParameters(np.full(k, 1 / k)) if latent == "Categorical" else zoo.LATENTS[latent].parameters(k)
    model = LatentVariableModel(zoo.LATENTS[latent].latent(k), family)
    weights = rng.exponential(size=len(batch)) if lengths is None and rng.random() < 0.3 else None
    source = ArraySource(batch.values, lengths=lengths, covariates=batch.covariates, weights=weights)
    return f"{latent} x {name}, {k} states, {len(batch)} rows", model, source, ModelParameters(states, begin)


def problems(model, source, begin, scheme):
    """What went wrong in the first iterations, and how many there were."""
    try:
        steps = list(islice(iterate(model, source, begin, executor=Serial(), acceleration=scheme), ITERATIONS))
    except LatentemError:  # a start far off may be refused, in words
        return [], 0
    except Exception:
        return [traceback.format_exc(limit=-4)], 0
    falls = [b.index for a, b in pairwise(steps) if b.objective < a.objective - a.rounding]
    finite = all(np.all(np.isfinite(value)) for value in steps[-1].parameters.arrays().values())
    told = [f"the objective falls at pass {index}" for index in falls]
    return told + ([] if finite else ["a parameter is not finite"]), len(steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="iterations")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    done, bad, number, started = 0, 0, options.seed, time.monotonic()
    while done < options.count:
        rng = np.random.default_rng(number)
        name = str(rng.choice(list(SCHEMES)))
        told, model, source, begin = case(rng)
        found, iterations = problems(model, source, begin, SCHEMES[name]())
        for problem in found:
            bad += 1
            print(f"case {number}, {name}, {told}: {problem}", flush=True)
        done, number = done + iterations, number + 1
    minutes = (time.monotonic() - started) / 60
    print(f"{done} iterations in {number - options.seed} cases, {bad} problems, {minutes:.1f} minutes")
    return bad


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
