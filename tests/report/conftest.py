"""Fits to report, one of each kind, and their pages: made once, and looked at by many tests."""

from __future__ import annotations

import os
import shutil
import warnings

import jax  # noqa: F401 - its first import draws from NumPy's global generator, which no test may
import numpy as np
import pytest

import latentem as em
from latentem.datasets import load_faithful
from latentem.execution import Serial
from latentem.io import Table
from latentem.report import write_report
from latentem.report.lines import explore
from latentem.report.trail import go_again

EVIL = "</script><script>alert(1)</script>"


def _mixture():
    return em.GaussianMixture(2, random_state=0, tol=1e-9).fit(load_faithful()).result_


def _chain():
    counts = np.random.default_rng(0).poisson(np.repeat([1, 4, 1, 4], 40))
    return em.PoissonHMM(2, random_state=0).fit(counts[:, None]).result_


def _factors():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(150, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(150, 5))
    return em.FactorAnalysis(1, random_state=0).fit(x).result_


def _declared():
    import jax.numpy as jnp
    from jax.scipy.stats import norm

    @em.latent_variable_model(
        latent=em.Categorical(2),
        parameters={"shares": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
    )
    def two_normals(x, z, theta):
        return jnp.log(theta.shares[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])

    return em.fit(two_normals, load_faithful().values[:, 0], random_state=0)


def _heavy_tails():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return em.StudentTMixture(2, random_state=0, max_iter=30).fit(load_faithful().values).result_


def _local():
    return em.WeibullMixture(2, random_state=0).fit(load_faithful().values[:, :1]).result_


MAKERS = {
    "mixture": _mixture,
    "chain": _chain,
    "factors": _factors,
    "declared": _declared,
    "heavy tails": _heavy_tails,
    "local": _local,
}


@pytest.fixture(scope="session")
def results():
    """A result by the name of its kind, fitted once."""
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = MAKERS[kind]()
        return made[kind]

    return of


@pytest.fixture(scope="session")
def trails(results):
    """The trail and its lines by kind, measured once."""
    made = {}

    def of(kind):
        if kind not in made:
            trail = go_again(results(kind), Serial(), most=60)
            made[kind] = trail, explore(trail, 2.0)
        return made[kind]

    return of


@pytest.fixture(scope="session")
def page(results, tmp_path_factory):
    """The page of the mixture, with candidates."""
    path = tmp_path_factory.mktemp("report") / "fit.html"
    result = results("mixture")
    other = em.GaussianMixture(1).fit(load_faithful()).result_
    return write_report(result, path, candidates={"one": other, "two": result}, seconds=40, seed=0)


@pytest.fixture(scope="session")
def evil_page(tmp_path_factory):
    """The page of a fit to columns with names that would be markup."""
    table = load_faithful()
    hostile = Table((EVIL, "\u2028'\"&<b>"), table.values)
    result = em.GaussianMixture(2, random_state=0).fit(hostile).result_
    path = tmp_path_factory.mktemp("evil") / "fit.html"
    return write_report(result, path, title=f"{EVIL}{{{{ 7 * 7 }}}}", command=EVIL, compare=False, seconds=5)


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, once for all tests; they are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        absent = pytest.fail if os.environ.get("LATENTEM_BROWSER") == "required" else pytest.skip
        absent(f"no browser found: looked for {', '.join(names)}")
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
    quiet += ("--disable-component-update", "--disable-sync", "--headless")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=path, args=list(quiet))
        yield opened
        opened.close()
