"""No verdict is wrong where it is known what a point is, and saddles are left."""

from __future__ import annotations

import numpy as np
import pytest
from inference.stationary import STATIONARY, Stationary, death_notices, fitted, mixture
from reference.cases import case, near, start

import latentem as em
from latentem.families.gaussian import FullGaussian
from latentem.families.poisson import PoissonParameters
from latentem.inference import Verdict, certifying

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
    assert all(certificate.passes <= 100 for certificate in found)
    if one.verdict in (Verdict.MAXIMUM, Verdict.SADDLE) and abs(result.certify().eigenvalues[0] - 1) > 1e-5:
        assert {certificate.verdict for certificate in found} == {one.verdict}


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
