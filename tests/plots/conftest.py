"""Axes to draw on, and fits that several pictures are of."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure

import latentem as em
from latentem.datasets import load_faithful, load_lsat6


@pytest.fixture
def ax():
    return Figure(layout="constrained").add_subplot()


@pytest.fixture(autouse=True)
def matplotlib_as_it_was():
    """A picture on given axes changes no setting of Matplotlib's and opens no figure of pyplot's."""
    settings, figures = _settings(), pyplot.get_fignums()
    yield
    assert pyplot.get_fignums() == figures
    assert _settings() == settings


def _settings():
    """All but the backend, which Matplotlib finds when it is first asked for."""
    return {name: value for name, value in mpl.rcParams.items() if not name.startswith("backend")}


@pytest.fixture(scope="session")
def mixture():
    return em.GaussianMixture(2, random_state=0, tol=1e-8).fit(load_faithful().values)


@pytest.fixture(scope="session")
def overlapping():
    """Three components for two clusters: slow EM."""
    return em.GaussianMixture(3, random_state=0, tol=1e-6, max_iter=2000).fit(load_faithful().values)


@pytest.fixture(scope="session")
def chain():
    return em.GaussianHMM(2, random_state=0, n_iter=500, covars_prior=0, tol=1e-6).fit(load_faithful().values[:, 1:])


@pytest.fixture(scope="session")
def classes():
    patterns = load_lsat6().values.astype(int)
    answers = np.repeat(patterns[:, :5], patterns[:, 5], axis=0)
    return em.LatentClassAnalysis(2, random_state=0, tol=1e-2, max_iter=3000, n_init=1).fit(answers)
