"""No verdict is wrong where it is known what a point is, and saddles are left."""

from __future__ import annotations

import numpy as np
import pytest
from inference.stationary import FACTORS, STATIONARY, Stationary, death_notices, fitted, mixture
from reference.cases import case, near, start

import latentem as em
from latentem.data import ArraySource
from latentem.families.gaussian import FullGaussian, FullGaussianParameters
from latentem.families.poisson import PoissonParameters
from latentem.inference import Verdict, certifying, many
from latentem.inference.level import Along
from latentem.inference.probing import Found
from latentem.latents.categorical import CategoricalParameters
from latentem.model import ModelParameters

pytestmark = pytest.mark.filterwarnings("ignore::latentem.FindingWarning")
SADDLES = [one for one in STATIONARY if one.verdict is Verdict.SADDLE]


def by_name(one: Stationary) -> str:
    return one.name


@pytest.mark.parametrize("one", STATIONARY, ids=by_name)
def test_the_verdict_is_what_is_known(one):
    certificate = one.reach().certify()
    assert certificate.verdict is one.verdict, str(certificate)
    assert np.isfinite(certificate.eigenvalues).all()
    assert certificate.passes <= 2 * one.reach().n_parameters + 60


@pytest.mark.parametrize("one", STATIONARY, ids=by_name)
def test_the_smallest_curvatures_alone_lead_to_no_wrong_verdict(one, monkeypatch):
    """As with many parameters, from twenty first vectors: what cannot be told apart is undecided, not guessed."""
    result = one.reach()
    monkeypatch.setattr(certifying, "MANY", 0)
    found = [result.certify(seed=seed) for seed in range(20)]
    assert {certificate.verdict for certificate in found} <= {one.verdict, Verdict.UNDECIDED}
    # What is flat is followed by EM from both sides.
    assert all(each.passes <= (150 if each.eigenvalues[0] > 1 - 1e-4 else 100) for each in found)
    if one.verdict in (Verdict.MAXIMUM, Verdict.SADDLE) and abs(result.certify().eigenvalues[0] - 1) > 1e-5:
        assert {certificate.verdict for certificate in found} == {one.verdict}


@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4, 1e-6])
def test_a_ridge_is_no_saddle_from_a_little_way_off(tol):
    """Loadings may be rotated: off the limit that curved ridge looks curved itself."""
    result = em.FactorAnalysis(2, tol=tol, max_iter=10_000).fit(FACTORS).result_
    worse = result.parameters.unflatten(result.parameters.flatten() * (1 + 0.02 * tol**0.5))
    for fit in (result, em.fit(result.model, result.source, parameters=worse, tol=tol, max_iter=1)):
        assert fit.certify().verdict in (Verdict.RIDGE, Verdict.NOT_CONVERGED), str(fit.certify())


def test_a_ridge_of_many_parameters_is_told():
    """Loadings of five factors of sixty columns may be rotated."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 5)) @ rng.normal(size=(5, 60)) + rng.normal(size=(3000, 60))
    result = em.FactorAnalysis(5).fit(rows).result_
    assert result.n_parameters > 300
    certificate = result.certify()
    assert certificate.verdict is Verdict.RIDGE, str(certificate)
    assert all("loadings" in name for name in certificate.along)
    assert certificate.distance < 0.1
    assert certificate.passes <= 200


def test_a_saddle_beside_a_ridge_is_named_by_its_own_direction(monkeypatch):
    result = em.FactorAnalysis(2, tol=1e-10).fit(FACTORS).result_
    monkeypatch.setattr(certifying, "MANY", 0)
    told, looked = iter([Found.LEVEL, Found.RISE]), []

    def look(surface, base, complete, move):
        looked.append(move)
        return Along(next(told), base.point)

    monkeypatch.setattr(many, "look_along", look)
    certificate = result.certify()
    assert certificate.verdict is Verdict.SADDLE
    names = result.parameters.coordinate_names()
    assert certificate.along[0] in [names[j] for j in np.argsort(-np.abs(looked[1]))[:3]]


def test_equal_components_of_many_parameters_are_a_saddle():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 16)) + 6.0 * rng.normal(size=(2, 16))[rng.integers(0, 2, 2000)]
    family = FullGaussian()
    model = mixture(family, 2)
    twice = family.start(next(iter(ArraySource(x))), 1)
    emission = FullGaussianParameters(np.repeat(twice.means, 2, axis=0), np.repeat(twice.covariances, 2, axis=0))
    start = ModelParameters(CategoricalParameters(np.array([0.4, 0.6])), emission)
    result = em.fit(model, x, parameters=start)
    assert result.n_parameters > 300
    certificate = result.certify()
    assert certificate.verdict is Verdict.SADDLE, str(certificate)
    assert em.fit(model, x, parameters=certificate.way_out).objective > result.objective + 1


def test_many_parameters_are_certified():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 12)) + 6.0 * rng.normal(size=(4, 12))[rng.integers(0, 4, 2000)]
    result = fitted(mixture(FullGaussian(), 4), x, random_state=0, acceleration="squarem")
    assert result.n_parameters > 300
    certificate = result.certify()
    assert certificate.verdict is Verdict.MAXIMUM, str(certificate)
    assert certificate.passes <= 100


def test_there_are_points_of_every_kind():
    assert len(STATIONARY) >= 35
    assert {one.verdict for one in STATIONARY} == set(Verdict) - {Verdict.UNDECIDED}


@pytest.mark.parametrize("one", SADDLES, ids=by_name)
def test_a_fit_that_starts_at_a_saddle_ends_at_a_maximum(one):
    stood = one.reach()
    options = {"parameters": stood.parameters, "tol": 1e-8, "max_iter": 100_000, "acceleration": "squarem"}
    result = em.fit(stood.model, stood.source, certify=True, **options)
    assert result.certificate.is_maximum, str(result.certificate)
    assert result.objective > stood.objective
    assert any(finding.code == "saddle-left" for finding in result.findings)
    climbs = np.diff([objective for _, objective in result.history])
    assert climbs.min() >= -2 * result.expectation.rounding


def test_the_rates_of_the_death_notices_are_those_published():
    """Eigenvalues of the Jacobian of the EM map, computed with 50 digits."""
    known = case("poisson_mixture_london_times").expected
    weights, rates = [known["p"], 1 - known["p"]], [[known["mu1"]], [known["mu2"]]]
    there, fit = start(weights, PoissonParameters(np.array(rates))), death_notices()
    certificate = em.fit(fit.model, fit.source, parameters=there, max_iter=0).certify()
    assert certificate.distance < 1e-7
    for found, expected in zip(certificate.eigenvalues, known["EM_jacobian_eigenvalues"], strict=True):
        assert found == near(expected, 1e-6)
    assert certificate.rate == near(known["EM_jacobian_eigenvalues"][0], 1e-6)
    assert certificate.missing_information == near(known["EM_jacobian_eigenvalues"][0], 1e-6)


def test_a_result_without_its_data_says_so(tmp_path):
    result = death_notices()
    em.save(result, tmp_path / "fit.latentem")
    loaded = em.load(tmp_path / "fit.latentem")
    assert loaded.source is None
    with pytest.raises(em.ParameterError, match="no data with it"):
        loaded.certify()
