"""Speed against accuracy (R depmixS4, data `speed`): the pay-off for accuracy acts on the transitions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from reference.cases import Case, case, fit_tightly, near, within

from latentem.families import Bernoulli, DiagonalGaussian, Product
from latentem.latents import CovariateMarkovChain
from latentem.model import LatentVariableModel
from latentem.result import EMResult

FAMILY = Product(((DiagonalGaussian(), (0,)), (Bernoulli(), (1,))))
MODEL = LatentVariableModel(CovariateMarkovChain(2, columns=(0,)), FAMILY)


def of_the_row_before(covariate: np.ndarray, lengths: list[int]) -> np.ndarray:
    """In depmixS4 the covariates of a row act on the way out of it; the first row of a sequence has none."""
    parts = np.split(covariate, np.cumsum(lengths)[:-1])
    return np.concatenate([np.concatenate([part[:1], part[:-1]]) for part in parts])


@cache
def fitted(one_series: bool) -> tuple[Case, EMResult]:
    known = case("hmm_speed_accuracy")
    series = known.columns("series")[:, 0]
    lengths = [len(series)] if one_series else [int(np.sum(series == s)) for s in np.unique(series)]
    c = of_the_row_before(known.columns("Pacc"), lengths)
    options = {"init": "k-means++", "random_state": 0}
    return known, fit_tightly(MODEL, known.columns("rt", "corr"), covariates=c, lengths=lengths, **options)


@pytest.mark.parametrize("one_series", [False, True])
def test_em_reaches_the_maximum_of_depmix(one_series: bool) -> None:
    known, result = fitted(one_series)
    expected = known.expected["depmixS4"][f"rt_corr_2states_Pacc_{'one_series' if one_series else '3series'}"]
    assert result.log_likelihood == near(expected["loglik"], known.tolerance["loglik"])
    assert result.parameters.n_free == expected["df"]


@pytest.mark.parametrize("one_series", [False, True])
def test_estimates_are_those_of_depmix(one_series: bool) -> None:
    """depmixS4 gives log odds against its first state in both rows; ours are against staying."""
    known, result = fitted(one_series)
    name = f"rt_corr_2states_Pacc_{'one_series' if one_series else '3series'}"
    pars = np.array(known.expected["depmixS4"][name]["pars"])
    intercepts, slopes = pars[[3, 7]], pars[[5, 9]]
    order = np.argsort(result.parameters.emission.parts[0].means[:, 0])
    theirs = [0, 1] if pars[10] < pars[14] else [1, 0]
    expected = np.stack([[intercepts[0], slopes[0]], [-intercepts[1], -slopes[1]]])[theirs]
    same = within(2 * known.tolerance["parameters"])
    same(result.parameters.latent.coefficients[order, 0], expected)
    emissions = pars[10:].reshape(2, 4)[theirs]
    found = result.parameters.emission.parts
    same(found[0].means[order, 0], emissions[:, 0])
    same(np.sqrt(found[0].variances[order, 0]), emissions[:, 1])
    same(found[1].probabilities[order, 0], emissions[:, 3])
