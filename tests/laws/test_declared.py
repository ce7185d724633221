"""The laws for declared models over every kind of z; and the built-in models' numbers, step by step."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from declared.zoo import AT, COUNTS, HMM, NORMAL_MIXTURE, POISSON_MIXTURE, REALS, SEQUENCES, STATES, SUBJECT, ZOO

from latentem.em import iterate
from latentem.execution import Processes, Serial, Threads
from latentem.families.constrained import Constrained
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.families.poisson import Poisson, PoissonParameters
from latentem.latents import Categorical, MarkovChain
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.markov_chain import MarkovChainParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.models.declared import DeclaredModel, prepare
from latentem.models.declared.e_steps import Enumeration
from latentem.sources import as_source
from latentem.testing import check_declared

# Worker processes take seconds to start, and want functions that have names.
IN_PROCESSES = ("Categorical", "no basis")


@pytest.fixture(scope="module")
def workers():
    with Processes(1) as processes:
        yield processes


@pytest.mark.parametrize("name", ZOO)
def test_the_laws_hold(name, workers):
    specimen = ZOO[name]
    executors = (Threads(2), workers) if name in IN_PROCESSES else (Threads(2),)
    check_declared(specimen.model, specimen.data, specimen.parameters, executors=executors)


# -- the kit itself ----------------------------------------------------------------------------


class ForgetsWeights(DeclaredModel):
    def e_step(self, params: Any, batch: Any) -> Any:
        return super().e_step(params, replace(batch, weights=None))


class AveragesRows(DeclaredModel):
    def e_step(self, params: Any, batch: Any) -> Any:
        found = super().e_step(params, batch)
        return replace(found, statistics=found.statistics * (1 / len(batch)))


class CountsFirstRowsTwice(DeclaredModel):
    def e_step(self, params: Any, batch: Any) -> Any:
        found = super().e_step(params, batch)
        return replace(found, log_likelihood=found.log_likelihood + self.infer(params, batch).log_likelihood[0])


class WrongScore(DeclaredModel):
    def objective_score(self, statistics: Any, params: Any) -> Any:
        return super().objective_score(statistics, params) * 1.0001


class ShortStep(DeclaredModel):
    def m_step(self, statistics: Any, params: Any, fold: Any = None) -> Any:
        best = super().m_step(statistics, params, fold)
        return params.unflatten(0.9 * best.flatten() + 0.1 * params.flatten())


class WrongWay(DeclaredModel):
    def m_step(self, statistics: Any, params: Any, fold: Any = None) -> Any:
        best = super().m_step(statistics, params, fold)
        return params.unflatten(2 * params.flatten() - best.flatten())


class RemembersTooMuch(DeclaredModel):
    def infer(self, params: Any, batch: Any) -> Any:
        return batch.once("points", lambda: super(RemembersTooMuch, self).infer(params, batch))


class WrongQ(DeclaredModel):
    def q_function(self, params: Any, statistics: Any) -> float:
        return super().q_function(params, statistics) + 1e-4 * float(params.means[0])


BROKEN = {
    ForgetsWeights: "weight of 2",
    AveragesRows: "E\\(A ∪ B\\)",
    CountsFirstRowsTwice: "E\\(A ∪ B\\)",
    WrongScore: "gradient of the objective",
    ShortStep: "vanishes",
    WrongWay: "lowers Q",
    RemembersTooMuch: "asked before",
    WrongQ: "Q on the pivots",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_model_is_told_by_its_law(kind):
    broken = kind(NORMAL_MIXTURE.declaration, NORMAL_MIXTURE.estep)
    with pytest.raises(AssertionError, match=BROKEN[kind]):
        check_declared(broken, REALS, AT)


def test_states_that_do_not_share_the_likelihood_are_told():
    class Uneven(Enumeration):
        def points(self, functions: Any, theta: Any, x: Any, batch: Any) -> Any:
            found = super().points(functions, theta, x, batch)
            return replace(found, weights=found.weights[::-1].copy()) if batch.labels is None else found

    with pytest.raises(AssertionError, match="is the share of"):
        check_declared(DeclaredModel(NORMAL_MIXTURE.declaration, Uneven()), REALS, AT)


# -- the built-in models -----------------------------------------------------------------------


def log_likelihoods(model: Any, source: Any, params: Any) -> np.ndarray:
    steps = islice(iterate(model, source, params, executor=Serial()), 21)
    return np.array([step.log_likelihood for step in steps])


def declared_log_likelihoods(model: Any, data: Any, start: Any) -> np.ndarray:
    source = as_source(data, grouping=model.declaration.grouping)
    params = model.parameters(**start)
    return log_likelihoods(prepare(model, source, params), source, params)


WEIGHTS = CategoricalParameters(np.array([0.4, 0.6]))
RATES = {"weights": [0.4, 0.6], "rates": [1.5, 4.0]}
TIED = Constrained(DiagonalGaussian(floor=0.0), tied=("variances",))
NORMALS = DiagonalGaussianParameters(np.array(AT["means"])[:, None], np.array(AT["scales"])[:, None] ** 2)
CHAIN = MarkovChainParameters(np.array(STATES["initial"]), np.array(STATES["transition"]))
TIED_NORMALS = DiagonalGaussianParameters(
    np.array(STATES["means"])[:, None], np.full((2, 1), STATES["scales"] ** 2)
)
BUILT_IN = {
    "normals": (
        (NORMAL_MIXTURE, REALS, AT),
        LatentVariableModel(Categorical(2), DiagonalGaussian(floor=0.0)),
        as_source(REALS[:, None]),
        ModelParameters(WEIGHTS, NORMALS),
    ),
    "Poissons": (
        (POISSON_MIXTURE, COUNTS, RATES),
        LatentVariableModel(Categorical(2), Poisson()),
        as_source(COUNTS[:, None]),
        ModelParameters(WEIGHTS, PoissonParameters(np.array([[1.5], [4.0]]))),
    ),
    "hidden Markov model": (
        (HMM, SEQUENCES, STATES),
        LatentVariableModel(MarkovChain(2), TIED),
        as_source(SEQUENCES["y"][:, None], groups=SUBJECT),
        ModelParameters(CHAIN, TIED.constrain(TIED_NORMALS)),
    ),
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_twenty_iterations_are_those_of_the_built_in_model(name):
    declared, model, source, params = BUILT_IN[name]
    expected = log_likelihoods(model, source, params)
    np.testing.assert_allclose(declared_log_likelihoods(*declared), expected, rtol=0, atol=1e-9)
    assert expected[-1] > expected[0] + 0.1
