"""Every method goes from the same starts; what is said of each is what it did."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from inference.stationary import death_notices, mixture, two_humps
from jax.scipy.stats import norm
from reference.cases import case, start

import latentem as em
from latentem.families.gaussian import DiagonalGaussian, FullGaussian
from latentem.families.poisson import PoissonParameters
from latentem.inference.comparing import METHODS
from latentem.plots import draw_comparison


@pytest.fixture(scope="module")
def notices() -> em.inference.Comparison:
    fit = death_notices()
    begin = start([0.5, 0.5], PoissonParameters(np.array([[1.0], [3.0]])))
    return em.compare(fit.model, fit.source, parameters=begin)


def test_every_method_arrives_at_the_one_maximum(notices):
    known = case("poisson_mixture_london_times").expected["loglik"]
    assert notices.methods == METHODS
    for run in notices.runs:
        assert run.failure == ""
        assert run.best == pytest.approx(known, abs=1e-4), run.method
        assert run.reached(known - 1e-3)[0] < np.inf


def test_every_method_begins_at_the_same_objective(notices):
    assert np.ptp([run.objectives[0] for run in notices.runs]) < 1e-9


def test_em_and_what_is_safeguarded_never_fall(notices):
    assert all(run.falls == 0 for run in notices.runs if run.method not in ("l-bfgs",))


def test_passes_and_seconds_grow(notices):
    for run in notices.runs:
        assert np.all(np.diff(run.passes) > 0) or run.method == "l-bfgs"
        assert np.all(np.diff(run.seconds) >= 0)


def test_the_rate_is_that_of_em_at_the_end_and_the_advice_follows_from_it(notices):
    known = case("poisson_mixture_london_times").expected["EM_jacobian_eigenvalues"][0]
    assert notices.rate == pytest.approx(known, abs=1e-4)
    assert "use an acceleration" in str(notices)
    quick = em.compare(mixture(DiagonalGaussian(), 2), two_humps() * 4, n_starts=1, random_state=0)
    assert quick.rate < 0.8
    assert "plain EM, which never falls" in str(quick)


def test_the_table_has_a_row_for_each_method(notices):
    rows = notices.table()
    assert [row["method"] for row in rows] == list(METHODS)
    assert all(row["arrived"] == row["starts"] == 1 for row in rows)
    by_name = {row["method"]: row for row in rows}
    assert by_name["auto"]["passes"] < 0.2 * by_name["em"]["passes"]
    assert all(name in str(notices) for name in METHODS)


def test_only_the_methods_that_were_asked_for():
    found = em.compare(mixture(DiagonalGaussian(), 2), two_humps(), methods=("em", "newton"), random_state=0)
    assert found.methods == ("em", "newton")
    assert len(found.runs) == 6
    with pytest.raises(em.ParameterError, match="the methods are em, "):
        em.compare(mixture(DiagonalGaussian(), 2), two_humps(), methods=("simplex",))
    with pytest.raises(em.ParameterError, match="n_starts"):
        em.compare(mixture(DiagonalGaussian(), 2), two_humps(), n_starts=0)


def test_a_likelihood_without_bound_is_no_crash():
    """Direct methods walk into covariances that are none; each of their failures is counted, not raised."""
    x = np.concatenate([np.zeros((5, 1)), np.random.default_rng(0).normal(size=(40, 1))])
    options = {"n_starts": 2, "random_state": 0, "max_iter": 300}
    found = em.compare(mixture(FullGaussian(floor=1e-9), 3), x, **options)
    assert {run.method for run in found.runs} == set(METHODS)
    assert all(np.isfinite(run.objectives).all() for run in found.runs)


@pytest.mark.parametrize("against", ["passes", "seconds"])
def test_the_plot_has_a_line_for_each_run(notices, against):
    ax = draw_comparison(notices, against=against)
    lines = [line for line in ax.get_lines() if line.get_label() in METHODS]
    assert len(lines) == len(METHODS)
    for line, run in zip(lines, notices.runs, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), getattr(run, against))
        assert line.get_ydata()[-1] == pytest.approx(max(notices.best_of(0) - run.best, 1e-10), abs=1e-12)


def test_a_declared_model_is_compared_too():
    @em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    )
    def two_normals(x, z, theta):
        return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])

    found = em.compare(two_normals, two_humps()[:, 0], methods=("em", "auto", "l-bfgs"), n_starts=1, random_state=0)
    assert all(row["arrived"] == 1 for row in found.table()), str(found)
