"""Standard errors of declared models: the differenced score, Louis' formula and the built-ins' numbers agree."""

from __future__ import annotations

import numpy as np
import pytest
from declared.zoo import AT, COUNTS, NORMAL_MIXTURE, POISSON_MIXTURE, REALS, ZOO
from inference.curvature import examination_at, in_units, numerical_information

import latentem as em
from latentem.execution import Serial
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.inference.unit_scores import louis_information, prior_information, scores_of_units
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.models.declared import prepare
from latentem.sources import as_source

# Where z is integrated out by a rule, values of the likelihood are as exact as the rule.
BY_QUADRATURE = ("Normal, quadrature", "Normal, groups, quadrature", "Continuous", "Continuous, groups")
ENUMERATED = [name for name in ZOO if not name.startswith(("MarkovChain", "Normal", "Continuous", "Categorical x"))]


def examination(name):
    specimen = ZOO[name]
    source = as_source(specimen.data, grouping=specimen.model.declaration.grouping)
    params = specimen.model.parameters(**specimen.parameters)
    return examination_at(prepare(specimen.model, source, params), params, source)


@pytest.mark.parametrize("name", [name for name in ZOO if name != "four dimensions"])  # which takes a minute
def test_the_differenced_score_is_the_numerical_hessian_of_the_marginal_likelihood(name):
    case = examination(name)
    apart = in_units(case, case.linear.observed - numerical_information(case))
    assert np.abs(apart).max() < (1e-4 if name in BY_QUADRATURE else 1e-6)


@pytest.mark.parametrize("name", ENUMERATED)
def test_louis_formula_gives_the_same_matrix(name):
    case = examination(name)
    apart = in_units(case, louis_information(case) + prior_information(case) - case.linear.observed)
    assert np.abs(apart).max() < 1e-6


@pytest.mark.parametrize("name", ["MarkovChain", "Normal, exact"])
def test_louis_formula_is_refused_where_states_cannot_be_listed(name):
    with pytest.raises(em.ParameterError, match="'oakes'"):
        louis_information(examination(name))


@pytest.mark.parametrize("name", ZOO)
def test_scores_of_units_add_to_positive_matrices(name):
    outer = scores_of_units(examination(name))
    values = np.linalg.eigvalsh(outer)
    assert np.all(np.isfinite(values)) and values[0] >= -1e-9 * values[-1]


@pytest.mark.parametrize("method", ["oakes", "louis", "sem", "scores", "sandwich"])
def test_errors_are_those_of_the_built_in(method):
    declared = em.fit(NORMAL_MIXTURE, REALS, parameters=AT, tol=0.0, max_iter=20_000, executor=Serial())
    means, variances = (np.array(AT[name])[:, None] for name in ("means", "scales"))
    begin = ModelParameters(
        CategoricalParameters(np.array(AT["weights"])), DiagonalGaussianParameters(means, variances**2)
    )
    built_in = em.fit(
        LatentVariableModel(Categorical(2), DiagonalGaussian()), REALS[:, None], parameters=begin, tol=0.0,
        max_iter=20_000, executor=Serial(),
    )  # fmt: skip
    errors, same = (result.standard_errors(method) for result in (declared, built_in))
    scales = same.of(lambda theta: np.sqrt(theta.emission.variances)).error[:, 0]
    np.testing.assert_allclose(errors.errors, [*same.errors[:4], *scales], rtol=1e-4)


def test_a_declared_model_may_be_simulated():
    model = em.latent_variable_model(
        lambda x, z, theta: POISSON_MIXTURE.declaration.densities["log_joint"](x, z, theta),
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "rates": em.Positive(2)},
        observed=em.Integers(0, 60),
        name="counted",
    )
    result = em.fit(model, COUNTS, parameters={"weights": [0.4, 0.6], "rates": [1.5, 6.0]}, tol=1e-6)
    errors = result.standard_errors("parametric", replicates=10, random_state=0)
    assert len(errors.replicates) == 10
    with pytest.raises(em.ParameterError, match="declare it with sampler"):
        em.fit(NORMAL_MIXTURE, REALS, parameters=AT).standard_errors("parametric", replicates=10)
