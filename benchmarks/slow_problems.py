"""Problems on which EM is slow: public data, a model, and where to start; the suite of `acceleration.py`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets as public

import latentem as em
from latentem.families import (
    bernoulli as be,
    categorical as ca,
    gamma as ga,
    gaussian as g,
    linear_gaussian as lg,
    linear_regression as lr,
    negative_binomial as nb,
    poisson as po,
    student_t as t,
    student_t_diagonal as td,
    zero_inflated as zi,
)

REFERENCE = Path(__file__).parents[1] / "tests" / "reference" / "data"


@dataclass(frozen=True)
class Problem:
    """What `em.fit` is given: a model, data and options; the start is the same for every scheme."""

    model: Any
    data: Any
    options: dict[str, Any] = field(default_factory=dict)

    def fit(self, **options: Any) -> em.EMResult:
        return em.fit(self.model, self.data, **{"random_state": 0, **self.options, **options})


def mixture(family: Any, k: int, data: Any, **options: Any) -> Problem:
    return Problem(em.LatentVariableModel(em.Categorical(k), family), data, {"init": "random-rows", **options})


def chain(family: Any, k: int, data: Any, **options: Any) -> Problem:
    return Problem(em.LatentVariableModel(em.MarkovChain(k), family), data, {"init": "random-rows", **options})


def factors(q: int, data: Any, **options: Any) -> Problem:
    return Problem(em.LatentVariableModel(em.Normal(q), lg.LinearGaussian(**options)), data)


def table(case: str, *names: str) -> np.ndarray:
    """The named columns of a reference case."""
    with (REFERENCE / case / "data.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([[float(row[name] or "nan") for name in names or tuple(rows[0])] for row in rows])


def standard(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) / x.std(axis=0)


@cache
def toolkit(name: str) -> np.ndarray:
    """A data set that comes with scikit-learn."""
    return np.asarray(getattr(public, f"load_{name}")().data, dtype=float)


def start(weights: Any, emission: Any) -> em.ModelParameters:
    from latentem.latents.categorical import CategoricalParameters

    return em.ModelParameters(CategoricalParameters(np.array(weights, dtype=float)), emission)


# -- counts ----------------------------------------------------------------------------------------


def death_notices(p: float, first: float, second: float) -> Problem:
    """Hasselblad (1969); R's vignettes of SQUAREM and turboEM use these data and the two starts below."""
    deaths, days = em.datasets.load_london_times().values.T
    begin = start([p, 1 - p], po.PoissonParameters(np.array([[first], [second]])))
    return mixture(po.Poisson(), 2, deaths[:, None], sample_weight=days, parameters=begin)


def linkage() -> Problem:
    """Dempster, Laird and Rubin (1977, section 1)."""
    import jax.numpy as jnp

    @em.latent_variable_model(latent=em.Bernoulli(), parameters={"t": em.UnitInterval()})
    def animals(x, z, theta):  # type: ignore[no-untyped-def]
        share = theta.t
        kinds = jnp.array([[1 / 2, share / 4], [(1 - share) / 4, 0], [(1 - share) / 4, 0], [share / 4, 0]])
        return jnp.log(kinds[x, z])

    return Problem(animals, [0, 1, 2, 3], {"sample_weight": [125, 18, 20, 34], "parameters": {"t": 0.5}})


def articles(family: Any, k: int, **options: Any) -> Problem:
    counts = em.datasets.load_biochemists().column("articles")[:, None].astype(float)
    return mixture(family, k, counts, **{"random_state": 2, **options})


# -- the suite -------------------------------------------------------------------------------------


def random_intercept() -> Problem:
    from jax.scipy.stats import norm

    @em.latent_variable_model(
        latent=em.Normal(),
        parameters={"a": em.Real(), "b": em.Real(), "between": em.Positive(), "within": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z, 0, theta.between),
        group="subject",
    )
    def sleep(x, z, theta):  # type: ignore[no-untyped-def]
        return norm.logpdf(x["reaction"], theta.a + theta.b * x["days"] + z, theta.within)

    begin = {"a": 250.0, "b": 10.0, "between": 30.0, "within": 30.0}
    return Problem(sleep, em.datasets.load_sleep_study(), {"parameters": begin})


def random_slope() -> Problem:
    """The same with a slope of each subject's own (Bates, Mächler, Bolker and Walker 2015)."""
    from jax.scipy.stats import norm

    @em.latent_variable_model(
        latent=em.Normal(2),
        parameters={"mean": em.Real(2), "spread": em.LowerTriangular(2), "noise": em.Positive()},
        log_latent=lambda z, theta: norm.logpdf(z).sum(),
        group="subject",
    )
    def sleep(x, z, theta):  # type: ignore[no-untyped-def]
        level, slope = theta.mean + theta.spread @ z
        return norm.logpdf(x["reaction"], level + slope * x["days"], theta.noise)

    begin = {"mean": [250.0, 10.0], "spread": [[20.0, 0.0], [0.0, 5.0]], "noise": 25.0}
    return Problem(sleep, em.datasets.load_sleep_study(), {"parameters": begin})


def item_response() -> Problem:
    """Bock and Aitkin (1981)."""
    from jax.nn import log_sigmoid
    from jax.scipy.stats import norm

    patterns = em.datasets.load_lsat6().values

    @em.latent_variable_model(latent=em.Normal(), parameters={"easiness": em.Real(5), "slope": em.Real(5)})
    def two_parameter_logistic(x, z, theta):  # type: ignore[no-untyped-def]
        return norm.logpdf(z) + log_sigmoid((2 * x - 1) * (theta.easiness + theta.slope * z)).sum()

    begin = {"easiness": np.zeros(5), "slope": np.ones(5)}
    return Problem(two_parameter_logistic, patterns[:, :5], {"sample_weight": patterns[:, 5], "parameters": begin})


def latent_classes(k: int) -> Problem:
    patterns = em.datasets.load_lsat6().values
    family = ca.CategoricalColumns((2,) * 5)
    options = {"sample_weight": patterns[:, 5], "random_state": 1, "init": "random"}
    return mixture(family, k, patterns[:, :5].astype(float), **options)


def missing_entries() -> Problem:
    """One normal; three entries in ten of Fisher's irises are gone."""
    x = toolkit("iris").copy()
    x[np.random.default_rng(0).random(x.shape) < 0.3] = np.nan
    return mixture(g.FullGaussian(), 1, x, init="random")


def nile() -> np.ndarray:
    return em.datasets.load_nile().column("flow").astype(float)


def series(estimator: Any, x: np.ndarray) -> Problem:
    """From where the estimator would start."""
    begun = estimator.fit(x).result_
    return Problem(begun.model, x[:, None], {"parameters": begun.parameters, "lengths": [len(x)]})


def local_level() -> Problem:
    """Nile at Aswan (Durbin and Koopman 2012): a random walk seen with noise."""
    return series(em.LinearGaussianStateSpace.local_level(max_iter=0, acceleration=None), nile())


def local_linear_trend() -> Problem:
    return series(em.LinearGaussianStateSpace.local_linear_trend(max_iter=0, acceleration=None), nile())


def autoregression_and_noise() -> Problem:
    """Shumway and Stoffer (2017, Example 6.8)."""
    x = table("ss_ar1_plus_noise_shumway_stoffer", "y")[:, 0]
    return series(em.LinearGaussianStateSpace.autoregression(max_iter=0, acceleration=None), x)


def regressions() -> Problem:
    x = table("mixreg_npreg_gaussian", "x", "yn")
    given = np.column_stack([x[:, 0], x[:, 0] ** 2])
    return mixture(lr.LinearRegression(), 2, x[:, 1:], covariates=given, random_state=3)


def digit_bits() -> np.ndarray:
    return (toolkit("digits") > 7).astype(float)


def rolls() -> np.ndarray:
    return em.datasets.load_casino().column("roll")[:, None].astype(float) - 1


def faithful() -> np.ndarray:
    return em.datasets.load_faithful().values.astype(float)


def galaxies() -> np.ndarray:
    return table("gmm_galaxies")


def overlapping() -> Problem:
    """Two normals a standard deviation and a half apart."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(1200, 1)) + 2.2 * (rng.random((1200, 1)) < 0.35)
    begin = start([0.5, 0.5], g.DiagonalGaussianParameters(np.array([[-0.5], [1.5]]), np.ones((2, 1))))
    return mixture(g.DiagonalGaussian(), 2, x, parameters=begin)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "death notices, from (0.5, 1, 3)": lambda: death_notices(0.5, 1.0, 3.0),
    "death notices, from R's seed 123": lambda: death_notices(0.446294449877198, 5.34339807302639, 0.871351298268699),
    "linkage": linkage,
    "two normals, overlapping": overlapping,
    "galaxies, 4 normals": lambda: mixture(g.DiagonalGaussian(), 4, galaxies(), random_state=1),
    "galaxies, 3 normals": lambda: mixture(g.DiagonalGaussian(), 3, galaxies(), random_state=0),
    "Old Faithful, 3 normals, full": lambda: mixture(g.FullGaussian(), 3, faithful()),
    "Old Faithful, 4 normals, tied": lambda: mixture(g.TiedGaussian(), 4, faithful(), random_state=1),
    "irises, 3 normals, full": lambda: mixture(g.FullGaussian(), 3, toolkit("iris"), random_state=1),
    "irises, 5 normals, tied": lambda: mixture(g.TiedGaussian(), 5, toolkit("iris"), random_state=1),
    "wines, 5 normals, diagonal": lambda: mixture(g.DiagonalGaussian(), 5, standard(toolkit("wine")), random_state=2),
    "diabetes, 3 normals, spherical": lambda: mixture(g.SphericalGaussian(), 3, standard(toolkit("diabetes"))),
    "Old Faithful, 2 t": lambda: mixture(t.FullStudentT(dof=4.0), 2, faithful(), random_state=3),
    "diabetes, 2 t of independent columns": lambda: mixture(
        td.DiagonalStudentT(), 2, standard(toolkit("diabetes")), random_state=1
    ),
    "cancers, 2 t of independent columns": lambda: mixture(
        td.DiagonalStudentT(), 2, standard(toolkit("breast_cancer")[:, 20:25])
    ),
    "digits, 10 Bernoulli": lambda: mixture(be.Bernoulli(), 10, digit_bits(), init="k-means++", random_state=4),
    "LSAT, 2 classes": lambda: latent_classes(2),
    "LSAT, 3 classes": lambda: latent_classes(3),
    "Old Faithful, 3 gammas": lambda: mixture(ga.Gamma(), 3, faithful()[:, :1]),
    "articles, 3 Poisson": lambda: articles(po.Poisson(), 3),
    "articles, 2 negative binomials": lambda: articles(nb.NegativeBinomial(), 2, init="random", random_state=1),
    "articles, 2 zero-inflated Poisson": lambda: articles(zi.ZeroInflated(po.Poisson()), 2, init="random"),
    "casino, 2 states": lambda: chain(ca.CategoricalColumns((6,)), 2, rolls(), lengths=[300], random_state=1),
    "casino, 3 states": lambda: chain(ca.CategoricalColumns((6,)), 3, rolls(), lengths=[300], random_state=2),
    "Old Faithful, chain of 3 normals": lambda: chain(g.FullGaussian(), 3, faithful(), lengths=[272]),
    "Nile, chain of 3 normals": lambda: chain(g.DiagonalGaussian(), 3, nile()[:, None], lengths=[100], random_state=1),
    "Nile, local level": local_level,
    "Nile, local linear trend": local_linear_trend,
    "autoregression and noise": autoregression_and_noise,
    "wines, 2 factors": lambda: factors(2, standard(toolkit("wine"))),
    "wines, 3 factors": lambda: factors(3, standard(toolkit("wine"))),
    "cancers, 2 factors of 10 columns": lambda: factors(2, standard(toolkit("breast_cancer")[:, 20:])),
    "cancers, 3 factors": lambda: factors(3, standard(toolkit("breast_cancer"))),
    "two curves": regressions,
    "irises, missing entries": missing_entries,
    "sleep, random intercept": random_intercept,
    "sleep, random slope": random_slope,
    "LSAT, two-parameter logistic": item_response,
}
