"""Random small data sets of every awkward kind, each with an estimator and options for it.

Case `number` of stream `seed` is the same on every machine and does not depend on the cases before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentem import estimators as es
from latentem.families.beta import Beta
from latentem.families.categorical import CategoricalColumns
from latentem.families.exponential import Exponential
from latentem.families.gamma import Gamma
from latentem.families.gaussian import DiagonalGaussian, FullGaussian
from latentem.families.multinomial import Multinomial
from latentem.families.negative_binomial import NegativeBinomial
from latentem.families.poisson import Poisson
from latentem.families.product import PerColumn, Product
from latentem.families.student_t_diagonal import DiagonalStudentT
from latentem.families.truncated import Truncated
from latentem.families.uniform_noise import UniformNoise
from latentem.families.zero_inflated import ZeroInflated
from latentem.model import Prior

Rng = np.random.Generator
ROWS = (1, 2, 3, 5, 8, 8, 15, 15, 30, 30, 60, 60, 120, 120)
STARTS = ("kmeans", "k-means++", "random", "random_from_data", "small-em")
FAR = 1e8
LARGEST_CONSTRAINED = 4


@dataclass(frozen=True)
class Case:
    """What to fit, to what; `words` says it in a line.

    Attributes
    ----------
    estimator : Mixture, not fitted
    X : array
    weights, labels : array or None
    new : array
        Rows to predict.
    """

    estimator: Any
    X: Any
    weights: Any
    labels: Any
    new: Any
    words: str


@dataclass(frozen=True)
class Kind:
    """An estimator: how it is made of options, the kind of its columns, and the names of its parameters."""

    make: Callable[..., Any]
    column: str
    names: tuple[str, ...]
    options: Callable[[Rng], dict[str, Any]] = lambda rng: {}
    columns: int | None = None
    components: int | None = None


def case(seed: int, number: int) -> Case:
    """One case of a stream."""
    rng = np.random.default_rng([seed, number])
    name = str(rng.choice(list(KINDS)))
    kind = KINDS[name]
    X = table(rng, kind.column if rng.random() < 0.93 else str(rng.choice(list(COLUMNS))), kind.columns)
    k = kind.components or int(rng.integers(1, 7 if rng.random() < 0.1 else 2 + min(5, len(X) - 1)))
    options = {"n_components": k, **kind.options(rng), **common(rng, k, kind.names, X)}
    weights = weights_of(rng, len(X))
    labels = rng.choice([-1, -1, *range(k)], len(X)) if rng.random() < 0.15 else None
    rows = X[rng.integers(0, len(X), 4)]
    with np.printoptions(threshold=8, precision=3):
        words = " ".join(f"{name} {options} X {X.dtype}{X.shape} weighted {weights is not None}".split())
    return Case(kind.make(**options), X, weights, labels, rows, words)


# -- tables ------------------------------------------------------------------------------------


def table(rng: Rng, column: str, n_columns: int | None) -> Any:
    n, d = int(rng.choice(ROWS)), n_columns or int(rng.integers(1 + (column == "direction"), 5))
    X = np.stack([COLUMNS[column](rng, n) for _ in range(d)], axis=1)
    if column == "direction":
        return X / np.linalg.norm(X, axis=1, keepdims=True)
    if d > 1 and rng.random() < 0.15:
        X[:, -1] = X[:, 0]
    if n > 1 and rng.random() < 0.15:
        X = X[rng.integers(0, max(1, n // int(rng.integers(1, 8))), n)]
    if column == "text":
        return X
    X = with_holes(rng, X) if rng.random() < 0.25 else X
    return as_type(rng, X, column != "real")


def with_holes(rng: Rng, X: Any) -> Any:
    """Missing entries: scattered, whole rows, a whole column."""
    holes = rng.random(X.shape) < rng.choice([0.05, 0.3, 0.7])
    if rng.random() < 0.2:
        holes[rng.integers(len(X))] = True
    if rng.random() < 0.1:
        holes[:, rng.integers(X.shape[1])] = True
    return np.where(holes, np.nan, X)


def as_type(rng: Rng, X: Any, exactly: bool) -> Any:
    """The table in another type and layout; whole numbers only from whole numbers, where it must be exact."""
    chosen = rng.choice(["float64", "float64", "float32", "int64", "fortran"])
    with np.errstate(over="ignore"):
        if chosen == "float32" and np.all(np.isnan(X) | np.isfinite(X.astype(np.float32))):
            return X.astype(np.float32)
    whole = np.all(X == np.floor(X)) if exactly else not np.isnan(X).any()
    if chosen == "int64" and whole and np.all(np.abs(X) < 1e15):
        return X.astype(np.int64)
    return np.asfortranarray(X) if chosen == "fortran" else X


def real(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.normal(size=n),
        lambda: rng.normal(size=n) + 5.0 * rng.integers(0, 3, n),
        lambda: rng.standard_cauchy(n),
        lambda: np.full(n, rng.normal()),
        lambda: np.zeros(n),
        lambda: rng.integers(-3, 4, n).astype(float),
        lambda: rng.normal(size=n) + FAR * rng.integers(0, 2, n),
        lambda: np.where(rng.random(n) < 0.1, 1e6, 0.0) + 1e-3 * rng.normal(size=n),
        lambda: np.arange(n, dtype=float),
        lambda: np.exp(3 * rng.normal(size=n)),
    ]
    return kinds[rng.integers(len(kinds))]() * scale(rng) + (rng.normal() * scale(rng) if rng.random() < 0.2 else 0.0)


def scale(rng: Rng) -> float:
    """Mostly 1; now and then any size that floating-point numbers and their squares can have."""
    widest = rng.choice([0.0, 0.0, 0.0, 3.0, 12.0, 140.0])
    return float(10 ** rng.uniform(-widest, widest))


def positive(rng: Rng, n: int) -> Any:
    x = np.abs(real(rng, n))
    kinds = [x, x + 1e-3, rng.gamma(rng.choice([0.05, 1.0, 50.0]), size=n) * scale(rng), np.exp(rng.normal(size=n))]
    chosen = kinds[rng.integers(len(kinds))]
    return np.where(chosen > 0, chosen, 1.0)


def counts(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.poisson(rng.choice([0.01, 0.5, 4.0, 1e3, 1e9]), n),
        lambda: rng.poisson(4.0 * rng.integers(0, 4, n)),
        lambda: rng.negative_binomial(0.3, 0.02, n),
        lambda: np.zeros(n),
        lambda: np.full(n, rng.integers(0, 5)),
        lambda: rng.integers(0, 2, n) * 10.0 ** rng.integers(0, 15),
    ]
    return np.asarray(kinds[rng.integers(len(kinds))](), float)


def from_one(rng: Rng, n: int) -> Any:
    return counts(rng, n) + 1


def binary(rng: Rng, n: int) -> Any:
    return (rng.random(n) < rng.choice([0.0, 0.02, 0.5, 1.0])).astype(float)


def codes(rng: Rng, n: int) -> Any:
    return rng.integers(0, rng.integers(1, 4), n).astype(float)


def text(rng: Rng, n: int) -> Any:
    pool = np.array(["yes", "no", "", "ä", None, 3, True], object)
    return rng.choice(pool[: rng.integers(1, len(pool) + 1)], n)


def unit(rng: Rng, n: int) -> Any:
    x = rng.beta(*rng.choice([0.05, 1.0, 3.0, 1e4], 2), size=n)
    x = np.full(n, 0.3) if rng.random() < 0.1 else x
    return np.clip(x, rng.choice([1e-300, 1e-12, 1e-3]), 1 - rng.choice([2**-53, 1e-9, 1e-3]))


def direction(rng: Rng, n: int) -> Any:
    return rng.normal(size=n) * rng.choice([1.0, 1e-4]) + rng.choice([0.0, 3.0, -3.0]) + 1e-6


COLUMNS: dict[str, Callable[[Rng, int], Any]] = {
    "real": real,
    "positive": positive,
    "counts": counts,
    "from one": from_one,
    "binary": binary,
    "codes": codes,
    "text": text,
    "unit": unit,
    "direction": direction,
}


# -- options -----------------------------------------------------------------------------------


def weights_of(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.integers(0, 3, n).astype(float),
        lambda: rng.random(n),
        lambda: 10 ** rng.uniform(-12, 12, n),
        lambda: np.where(rng.random(n) < 0.7, 0.0, 1.0),
        lambda: np.full(n, 10 ** rng.uniform(-20, 20)),
        lambda: rng.integers(1, 3, n),
    ]
    return kinds[rng.integers(len(kinds))]() if rng.random() < 0.3 else None


def common(rng: Rng, k: int, names: tuple[str, ...], X: Any) -> dict[str, Any]:
    """Options that every mixture has, each off its default now and then."""
    values: dict[str, Callable[[], Any]] = {
        "tol": lambda: float(rng.choice([0.0, 1e-12, 1e-3, 1.0])),
        "init_params": lambda: str(rng.choice(STARTS)) if rng.random() < 0.8 else rng.dirichlet(np.ones(k), len(X)),
        "n_init": lambda: 2,
        "weights_init": lambda: rng.dirichlet(np.full(k, rng.choice([0.05, 1.0]))),
        "prior": lambda: prior(rng, X),
        "fixed": lambda: fixed(rng, k, names),
        "tied": lambda: (str(rng.choice(names)),) if names else None,
        "order": lambda: str(rng.choice(["weight", "mean"])),
        "restart_collapsed": lambda: int(rng.integers(1, 3)),
        "acceleration": lambda: "squarem",
        "executor": lambda: str(rng.choice(["serial", "threads"])),
    }
    often = {"init_params": 0.6, "acceleration": 0.3}
    chosen = {name: make() for name, make in values.items() if rng.random() < often.get(name, 0.08)}
    if k * X.shape[1] > LARGEST_CONSTRAINED:  # such M-steps are numerical: their work grows with the parameters' square
        chosen.pop("fixed", None), chosen.pop("tied", None)
    seed = int(rng.integers(2**31))
    return {"max_iter": int(rng.choice([0, 1, 5, 40])), **chosen, "random_state": seed}


def prior(rng: Rng, X: Any) -> Prior:
    rows = None
    if X.dtype.kind in "fi" and rng.random() < 0.5:
        rows = np.asarray(X[rng.integers(0, len(X), 3)], float)
    return Prior(rows=rows, weights=None if rows is None else rng.random(3), concentration=float(rng.choice([0, 0.5, 9])))


def fixed(rng: Rng, k: int, names: tuple[str, ...]) -> Any:
    name = str(rng.choice(["weights", *names]))
    return (name,) if rng.random() < 0.5 else {name: rng.random(k) < 0.5}


def covariance(rng: Rng, *types: str) -> dict[str, Any]:
    floor = rng.choice([1e-6, 1e-3, 0.0, -1.0], p=[0.3, 0.1, 0.1, 0.5])
    return {"covariance_type": str(rng.choice(types)), "reg_covar": "auto" if floor < 0 else float(floor)}


def student(rng: Rng) -> dict[str, Any]:
    chosen = covariance(rng, "full", "diag")
    dof = [{}, {"dof": "tied"}, {"dof": float(rng.choice([0.5, 3.0, 1e6]))}][rng.integers(3)]
    return {**chosen, **dof, "reg_covar": chosen["reg_covar"] or 1e-9}


def model(family: Any, column: str, *names: str, columns: int | None = None, components: int | None = None) -> Kind:
    def make(**options: Any) -> Any:
        return es.MixtureModel(family, **options)

    return Kind(make, column, names, columns=columns, components=components)


BOX = UniformNoise((-1e9, -1e9), (1e9, 1e9))
MIXED = Product(((Poisson(), (0,)), (DiagonalGaussian(), (1,))))
KINDS: dict[str, Kind] = {
    "GaussianMixture": Kind(
        es.GaussianMixture,
        "real",
        ("means",),
        lambda rng: covariance(rng, "full", "tied", "diag", "spherical"),
    ),
    "StudentTMixture": Kind(es.StudentTMixture, "real", ("means", "scales", "dof"), student),
    "PoissonMixture": Kind(es.PoissonMixture, "counts", ("rates",)),
    "NegativeBinomialMixture": Kind(es.NegativeBinomialMixture, "counts", ("means", "sizes")),
    "GeometricMixture": Kind(es.GeometricMixture, "counts", ("probabilities",)),
    "MultinomialMixture": Kind(es.MultinomialMixture, "counts", ("probabilities",)),
    "BernoulliMixture": Kind(es.BernoulliMixture, "binary", ("probabilities",)),
    "LatentClassAnalysis": Kind(es.LatentClassAnalysis, "text", ("columns.0.probabilities",)),
    "ExponentialMixture": Kind(es.ExponentialMixture, "positive", ("rates",)),
    "GammaMixture": Kind(es.GammaMixture, "positive", ("shapes", "rates")),
    "WeibullMixture": Kind(es.WeibullMixture, "positive", ("shapes", "scales")),
    "LogNormalMixture": Kind(es.LogNormalMixture, "positive", ("locations", "variances")),
    "InverseGaussianMixture": Kind(es.InverseGaussianMixture, "positive", ("means", "shapes")),
    "BetaMixture": Kind(es.BetaMixture, "unit", ("a", "b")),
    "VonMisesFisherMixture": Kind(es.VonMisesFisherMixture, "direction", ("naturals",)),
    "gaussian": model("gaussian", "real", "means", "covariances"),
    "tied gaussian": model("tied-gaussian", "real", "means", "covariance"),
    "diagonal gaussian": model("diagonal-gaussian", "real", "means", "variances"),
    "spherical gaussian": model("spherical-gaussian", "real", "means", "variances"),
    "student-t": model("student-t", "real", "means", "scales", "dof"),
    "diagonal student-t": model(DiagonalStudentT(dof="tied"), "real", "means"),
    "categorical": model(CategoricalColumns((3, 3)), "codes", "columns.1.probabilities", columns=2),
    "multinomial": model(Multinomial(5), "counts", "probabilities"),
    "zero-inflated": model(ZeroInflated(Poisson()), "counts", "inflation", "base.rates", columns=1),
    "zero-inflated gamma": model(PerColumn(ZeroInflated(Gamma())), "positive"),
    "zero-truncated": model(PerColumn(Truncated(Poisson(), low=1)), "from one"),
    # Its M-step integrates numerically: few components only.
    "truncated": model(Truncated(Exponential(), high=1e3), "positive", "base.rates", columns=1, components=2),
    "product": model(MIXED, "counts", "parts.0.rates", "parts.1.means", columns=2),
    "with noise": Kind(
        lambda n_components, **options: es.MixtureModel([*[FullGaussian()] * (n_components - 1), BOX], **options),
        "real",
        ("parts.0.means",),
        columns=2,
    ),
    "different": model([Poisson(), NegativeBinomial()], "counts", "parts.1.sizes", components=2),
    "proportions": model([Beta(), Beta(), Beta()], "unit", components=3),
}
