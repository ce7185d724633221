"""Random small data sets of every awkward kind, each with an estimator and options for it.

Case `number` of stream `seed` is the same on every machine and does not depend on the cases before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from bad_input.tables import COLUMNS, Rng, table
from scipy import sparse

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

STARTS = ("kmeans", "k-means++", "random", "random_from_data", "small-em")
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
    spoilt : (row, column) or None
        Where a number was put that no estimator may take: the fit must be refused.
    again : bool
        Whether to fit once more, from where the first fit ended.
    """

    estimator: Any
    X: Any
    weights: Any
    labels: Any
    new: Any
    spoilt: tuple[int, int] | None
    again: bool
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
    k = kind.components or int(rng.integers(1, 7 if rng.random() < 0.1 else 2 + min(5, X.shape[0] - 1)))
    options = {"n_components": k, **kind.options(rng), **common(rng, k, kind.names, X)}
    if rng.random() < 0.1:
        options.update(start_values(rng, name, kind, options, k, X))
    n = X.shape[0]
    weights = weights_of(rng, n)
    labels = rng.choice([-1, -1, *range(k)], n) if rng.random() < 0.15 and "order" not in options else None
    rows = X[rng.integers(0, n, 4)]
    X, spoilt = spoil(rng, X) if rng.random() < 0.05 and kind.column != "text" else (X, None)
    with np.printoptions(threshold=8, precision=3):
        words = " ".join(f"{name} {options} X {type(X).__name__} {X.dtype}{X.shape} spoilt {spoilt}".split())
    return Case(kind.make(**options), X, weights, labels, rows, spoilt, rng.random() < 0.1, words)


def spoil(rng: Rng, X: Any) -> tuple[Any, tuple[int, int] | None]:
    """The table with one entry that is infinite, or whose square is."""
    if sparse.issparse(X) or X.dtype.kind == "O":
        return X, None
    place = int(rng.integers(X.shape[0])), int(rng.integers(X.shape[1]))
    X = X.astype(float)
    X[place] = rng.choice([np.inf, -np.inf, 1e151, -1e200, 1.7e308])
    return X, place


# -- options -----------------------------------------------------------------------------------


def weights_of(rng: Rng, n: int) -> Any:
    kinds: list[Callable[[], Any]] = [
        lambda: rng.integers(0, 3, n).astype(float),
        lambda: rng.random(n),
        lambda: 10 ** rng.uniform(-12, 12, n),
        lambda: np.where(rng.random(n) < 0.7, 0.0, 1.0),
        lambda: np.full(n, 10 ** rng.uniform(-110, 140)),
        lambda: 10 ** rng.uniform(-110, 100, n),
        lambda: rng.integers(1, 3, n),
    ]
    return kinds[rng.integers(len(kinds))]() if rng.random() < 0.3 else None


def common(rng: Rng, k: int, names: tuple[str, ...], X: Any) -> dict[str, Any]:
    """Options that every mixture has, each off its default now and then."""
    values: dict[str, Callable[[], Any]] = {
        "tol": lambda: float(rng.choice([0.0, 1e-12, 1e-3, 1.0])),
        "init_params": lambda: str(rng.choice(STARTS)) if rng.random() < 0.8 else rng.dirichlet(np.ones(k), X.shape[0]),
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


def start_values(rng: Rng, name: str, kind: Kind, options: dict[str, Any], k: int, X: Any) -> dict[str, Any]:
    """Starting values of any size; many are refused, none may break a fit."""
    d = X.shape[1]

    def sizes(*shape: int) -> Any:
        return 10 ** rng.uniform(-8, 8, shape)

    if name == "GaussianMixture":
        factors = rng.normal(size=(k, d, d)) * sizes(k, 1, 1)
        matrices = factors @ np.swapaxes(factors, 1, 2)
        precisions = {"full": matrices, "tied": matrices[0], "diag": sizes(k, d), "spherical": sizes(k)}
        numbers = np.ones((1, d)) if sparse.issparse(X) or X.dtype.kind == "O" else X
        largest = np.max(np.where(np.isnan(numbers), 0.0, np.abs(numbers)), axis=0)
        means = {"means_init": rng.normal(size=(k, d)) * 10 ** rng.uniform(-3, 3, (k, 1)) * largest}
        return means | ({"precisions_init": precisions[options["covariance_type"]]} if rng.random() < 0.5 else {})
    names = [own for own in kind.names if "columns" not in own]
    if not names:
        return {}
    own = str(rng.choice(names))
    values = {"dof": sizes(k), "probabilities": rng.random((k, d)), "a": sizes(k, d)}.get(own, sizes(k, d))
    return {"parameters_init": {own: values * (rng.random() < 0.95)}}


def prior(rng: Rng, X: Any) -> Prior:
    rows = None
    if X.dtype.kind in "fi" and not sparse.issparse(X) and rng.random() < 0.5:
        rows = np.asarray(X[rng.integers(0, len(X), 3)], float)
    weights = None if rows is None else rng.random(3)
    return Prior(rows=rows, weights=weights, concentration=float(rng.choice([0, 0.5, 9])))


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
    # M-steps under truncation sum or integrate at every trial: few columns and components only.
    "zero-truncated": model(PerColumn(Truncated(Poisson(), low=1)), "from one", columns=2, components=2),
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
