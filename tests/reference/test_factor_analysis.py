"""Factor analysis and probabilistic PCA against R's `factanal`, closed forms and scikit-learn."""

import warnings

import numpy as np
import pytest
from reference.cases import case, em_steps, log_likelihoods
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, FactorAnalysis as Peer

import latentem as em
from latentem.estimators import FactorAnalysis, FindingWarning, ProbabilisticPCA
from latentem.families import LinearGaussian
from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
from latentem.latents import Normal
from latentem.model import LatentVariableModel, ModelParameters

FACTORS = [("fa_ability", 112, q) for q in (1, 2)] + [("fa_maxwell_children", 148, q) for q in (1, 2, 3, 4)]


@pytest.mark.parametrize(("name", "n", "q"), FACTORS)
def test_uniquenesses_statistic_and_p_value_are_those_of_factanal(name, n, q):
    found = case(name)
    expected = found.expected[f"factors_{q}"]
    fit = FactorAnalysis(q, tol=1e-9).fit_covariance(found.columns(), n)
    assert fit.converged_
    bounded, factanal = expected["bounded_uniqueness_1e-5"], expected["factanal"]
    np.testing.assert_allclose(fit.uniquenesses_, bounded["uniquenesses"], atol=1e-5)
    measures = fit.fit_measures()
    assert measures.chi_square / n == pytest.approx(factanal["objective"], abs=1e-9)
    assert measures.bartlett_chi_square == pytest.approx(factanal["chisq_Bartlett"], abs=1e-7)
    assert measures.bartlett_p_value == pytest.approx(factanal["p"], rel=1e-6)
    assert measures.df == factanal["dof"]
    assert measures.rmsea_low <= measures.rmsea <= measures.rmsea_high
    key = "loglik_MLE_covariance_(S_as_given,mean_removed)"
    assert fit.log_likelihood_ == pytest.approx(bounded[key], abs=1e-6)


# Eight measurements of 305 girls (Harman 1976, Table 2.3; R's Harman23.cor), below the diagonal.
HARMAN = [
    [0.846],
    [0.805, 0.881],
    [0.859, 0.826, 0.801],
    [0.473, 0.376, 0.380, 0.436],
    [0.398, 0.326, 0.319, 0.329, 0.762],
    [0.301, 0.277, 0.237, 0.327, 0.730, 0.583],
    [0.382, 0.415, 0.345, 0.365, 0.629, 0.577, 0.539],
]
# What R's examples of `factanal` print for them.
HARMAN_FACTANAL = {
    1: ([0.158, 0.135, 0.190, 0.187, 0.760, 0.829, 0.877, 0.801], 611.44, 20, 1.12e-116),
    2: ([0.170, 0.107, 0.166, 0.199, 0.089, 0.364, 0.416, 0.537], 75.74, 13, 6.94e-11),
}


@pytest.mark.parametrize("q", HARMAN_FACTANAL)
def test_harmans_physical_measurements_are_as_in_rs_examples(q):
    correlations = np.eye(8)
    for i, row in enumerate(HARMAN, start=1):
        correlations[i, :i] = correlations[:i, i] = row
    uniquenesses, statistic, df, p = HARMAN_FACTANAL[q]
    fit = FactorAnalysis(q, tol=1e-8).fit_covariance(correlations, 305)
    measures = fit.fit_measures()
    np.testing.assert_allclose(fit.uniquenesses_, uniquenesses, atol=5.1e-4)
    assert measures.bartlett_chi_square == pytest.approx(statistic, abs=5.1e-3)
    assert measures.df == df
    assert measures.bartlett_p_value == pytest.approx(p, rel=5e-3)


@pytest.mark.parametrize("q", [1, 2, 3, 4, 5])
def test_24_psychological_tests_are_as_factanal_has_them(q):
    found = case("fa_harman_psychological")
    expected, n = found.expected[f"factors_{q}"]["factanal"], found.record["n"]
    fit = FactorAnalysis(q, tol=1e-9).fit_covariance(found.columns(), n)
    assert fit.converged_
    np.testing.assert_allclose(fit.uniquenesses_, expected["uniquenesses"], atol=found.tolerance["uniquenesses"])
    measures = fit.fit_measures()
    assert measures.chi_square / n == pytest.approx(expected["objective"], abs=found.tolerance["objective"])
    assert measures.bartlett_chi_square == pytest.approx(expected["chisq_Bartlett"], abs=1e-6)
    assert measures.bartlett_p_value == pytest.approx(expected["p"], rel=1e-6)
    assert measures.df == expected["dof"]


def test_24_psychological_tests_are_as_r_prints_them():
    found = case("fa_harman_psychological")
    printed = found.record["published"]["factors_4"]
    fit = FactorAnalysis(4).fit_covariance(found.columns(), found.record["n"])
    np.testing.assert_allclose(fit.uniquenesses_, printed["uniquenesses"], atol=5.5e-4)
    assert fit.fit_measures().bartlett_chi_square == pytest.approx(printed["chisq_Bartlett"], abs=5.1e-3)


def test_loadings_of_one_factor_are_those_of_factanal():
    found = case("fa_ability")
    fit = FactorAnalysis(1, tol=1e-9).fit_covariance(found.columns(), 112)
    scale = np.sqrt(np.diagonal(found.columns()))
    expected = found.expected["factors_1"]["factanal"]["loadings"]
    np.testing.assert_allclose(fit.components_[0] / scale, expected, atol=1e-5)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_probabilistic_pca_is_the_closed_form(q):
    found = case("ppca_iris")
    x, expected = found.columns(*list(load_columns(found))), found.expected[f"q{q}"]
    fit = ProbabilisticPCA(q, tol=1e-9).fit(x)
    assert fit.noise_variance_ == pytest.approx(expected["sigma2"], abs=1e-10)
    np.testing.assert_allclose(fit.loadings_ @ fit.loadings_.T, expected["WWt"], atol=1e-9)
    assert fit.log_likelihood_ == pytest.approx(expected["loglik"], abs=1e-8)
    peer = PCA(q).fit(x)
    np.testing.assert_allclose(fit.explained_variance_, peer.explained_variance_ * 149 / 150, rtol=1e-9)


def load_columns(found):
    import csv

    with (found.folder / "data.csv").open(encoding="utf-8") as stream:
        return next(csv.reader(stream))[:4]


def test_plain_em_takes_the_published_course():
    found = case("ppca_iris")
    x, expected = found.columns(*load_columns(found)), found.expected["EM_q2_from_W_identity_sigma2_1"]
    model = LatentVariableModel(Normal(2, expand=False), LinearGaussian("isotropic"))
    emission = LinearGaussianParameters.of(x.mean(axis=0), np.eye(4)[:, :2], np.ones(4))
    start = ModelParameters(model.latent.start(), emission)
    course = log_likelihoods(em_steps(model, x, start, 14))
    np.testing.assert_allclose(course, expected["loglik_trace_first_15"], atol=1e-7)


@pytest.mark.parametrize("q", [1, 2])
def test_it_is_scikit_learns_maximum_and_no_less(q):
    x = load_iris().data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = Peer(q, tol=1e-10, max_iter=20_000, svd_method="lapack").fit(x)
        ours = FactorAnalysis(q, tol=1e-9).fit(x)
    assert ours.score(x) >= peer.score(x) - 1e-9
    if q == 1:
        np.testing.assert_allclose(np.abs(ours.components_), np.abs(peer.components_), atol=1e-3)
        np.testing.assert_allclose(ours.get_covariance(), peer.get_covariance(), atol=1e-3)


def test_scikit_learns_attributes_and_methods_mean_the_same(rng):
    x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 7)) + rng.normal(size=(400, 7)) * 0.6 + np.arange(7)
    peer = Peer(2, tol=1e-10, max_iter=5000, svd_method="lapack").fit(x)
    ours = FactorAnalysis(2, tol=1e-9).fit(x)
    signs = np.sign(np.sum(ours.components_ * peer.components_, axis=1))
    np.testing.assert_allclose(ours.components_, peer.components_ * signs[:, None], atol=1e-4)
    np.testing.assert_allclose(ours.noise_variance_, peer.noise_variance_, atol=1e-4)
    np.testing.assert_allclose(ours.mean_, peer.mean_, atol=1e-9)
    np.testing.assert_allclose(ours.transform(x), peer.transform(x) * signs, atol=1e-4)
    np.testing.assert_allclose(ours.score_samples(x), peer.score_samples(x), atol=1e-4)
    np.testing.assert_allclose(ours.get_precision(), peer.get_precision(), atol=1e-4)
    assert ours.log_likelihood_ == pytest.approx(ours.score_samples(x).sum(), rel=1e-12)


def test_a_mixture_of_factor_analyzers_fits_iris():
    x = load_iris().data
    factors = LatentVariableModel(Normal(1), LinearGaussian(floor=1e-4))
    model = LatentVariableModel(em.Categorical(2), em.families.Components((factors, factors)))
    result = em.fit(model, x, acceleration="anderson", tol=1e-2, max_iter=300, random_state=0)
    one = FactorAnalysis(1, tol=1e-6, floor=1e-4)
    with pytest.warns(FindingWarning, match="Heywood"):
        one.fit(x)
    assert result.log_likelihood > one.log_likelihood_ + 50
    assert result.n_parameters == 1 + 2 * 12
