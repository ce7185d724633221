"""The examples of the documentation give the built-in's, the textbook's or another package's numbers."""

from __future__ import annotations

import ast
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference.cases import Case, case
from scipy import optimize, stats

import latentem as em
from latentem.em import iterate
from latentem.execution import Serial
from latentem.models.declared import prepare
from latentem.sources import as_source

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "examples"
ENUMERATION, CHAIN, EXACT = "enumeration", "forward-backward", "quadratic"
ADAPTIVE, HERMITE = "adaptive quadrature", "Gauss-Hermite"
Numbers = Iterator[tuple[Any, Any, float]]


@dataclass(frozen=True)
class Run:
    """An example that was run: its names, and the arguments of its first fit."""

    names: dict[str, Any]
    model: Any
    data: Any
    options: dict[str, Any]

    @property
    def result(self) -> Any:
        return self.names["result"]

    @property
    def source(self) -> Any:
        weights = self.options.get("sample_weight")
        return as_source(self.data, grouping=self.model.declaration.grouping, sample_weight=weights)

    def start(self) -> np.ndarray:
        """Where the example starts, on the unconstrained scale; drawn parameters are those of the result."""
        given = self.options.get("parameters") or {}
        return self.model.parameters(**{**self.result.parameters.by_name, **given}).flatten()


@cache
def run(name: str) -> Run:
    fits: list[tuple[Any, Any, dict[str, Any]]] = []
    fit = em.fit

    def recorded(model: Any, data: Any, **options: Any) -> Any:
        fits.append((model, data, options))
        return fit(model, data, **options)

    em.fit = recorded
    try:
        names = runpy.run_path(str(FOLDER / f"{name}.py"))
    finally:
        em.fit = fit
    return Run(names, *fits[0])


@dataclass(frozen=True)
class Example:
    """What an example must give.

    Attributes
    ----------
    name : str
        Of its file.
    numbers : function of the run
        Found and expected values, with an absolute tolerance.
    kind : str
        Part of the E-step's description.
    rank : int or None
        Number of sufficient statistics; None: there are none of small dimension.
    """

    name: str
    numbers: Callable[[Run], Numbers]
    kind: str
    rank: int | None


EXAMPLES: list[Example] = []


def example(kind: str, rank: int | None) -> Callable[[Callable[[Run], Numbers]], Callable[[Run], Numbers]]:
    def add(numbers: Callable[[Run], Numbers]) -> Callable[[Run], Numbers]:
        EXAMPLES.append(Example(numbers.__name__, numbers, kind, rank))
        return numbers

    return add


def known(name: str) -> Case:
    return case(name)


def built_in(data: np.ndarray, parameters: Any) -> float:
    """The log-likelihood of the built-in Gaussian mixture, from the same start."""
    mixture = em.GaussianMixture(
        len(parameters["weights"]),
        weights_init=parameters["weights"],
        means_init=parameters["means"],
        precisions_init=np.linalg.inv(parameters["covariances"]),
        reg_covar=0.0,
        tol=1e-10,
        max_iter=1000,
    )
    return float(mixture.fit(data).result_.log_likelihood)


@example(ENUMERATION, 3)
def gaussian_mixture(done: Run) -> Numbers:
    values = done.result.parameters
    same = {
        "weights": values.weights,
        "means": values.means[:, None],
        "covariances": values.scales[:, None, None] ** 2,
    }
    yield done.result.log_likelihood, built_in(np.asarray(done.data)[:, None], same), 1e-6


@example(ENUMERATION, 15)
def gaussian_mixture_4d(done: Run) -> Numbers:
    yield done.result.log_likelihood, built_in(done.data, done.options["parameters"]), 1e-5


@example(ENUMERATION, 3)
def poisson_mixture(done: Run) -> Numbers:
    expected, values = known("poisson_mixture_london_times").expected, done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-7
    # EM's rate is 0.9957: where a step gains less than the log-likelihood's rounding error, this much is left to go.
    yield values.weights[0], expected["p"], 1e-4
    yield values.rates, [expected["mu1"], expected["mu2"]], 1e-4


@example(ENUMERATION, 3)
def genetic_linkage(done: Run) -> Numbers:
    expected = known("dlr_genetic_linkage").expected
    yield done.result.parameters.t, 0.6268214980, 1e-9
    yield done.result.parameters.t, expected["theta_hat"], 1e-9
    yield done.result.log_likelihood, expected["loglik_kernel_sum_n_log_p"], 1e-9


@example(ENUMERATION, 4)
def blood_groups(done: Run) -> Numbers:
    expected = known("abo_peptic_ulcer").expected
    yield done.result.parameters.p, [expected[f"p_{gene}"] for gene in "ABO"], 1e-8
    yield done.result.log_likelihood, expected["loglik_kernel_sum_n_log_p"], 1e-8


@example(ENUMERATION, 3)
def two_coins(done: Run) -> Numbers:
    expected = known("two_coin_do_batzoglou").expected
    yield done.result.parameters.p, expected["theta_limit_fixed_half_weights"], 1e-7
    yield done.result.log_likelihood, expected["loglik_with_binomial_constant"], 1e-10
    steps = islice(iterate(done.result.model, done.source, done.model.parameters(p=[0.6, 0.5]), executor=Serial()), 11)
    yield [step.parameters.p for step in steps], expected["iterates"][:11], 1e-8


@example(ENUMERATION, None)
def zero_inflated_poisson(done: Run) -> Numbers:
    expected, values = known("zip_biochemists").expected["zip_full"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-5
    yield values.a, expected["zero"], 1e-4
    yield values.b, expected["count"], 1e-4


@example(ENUMERATION, 6)
def two_regressions(done: Run) -> Numbers:
    expected, values = known("mixreg_tonedata").expected["k2"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-5
    yield np.column_stack([values.a, values.b]), expected["component_coefficients"], 1e-3
    yield values.weights, expected["weights"], 1e-3
    yield values.scales, expected["sigma"], 1e-3


@example(CHAIN, 7)
def dishonest_casino(done: Run) -> Numbers:
    expected, values = known("hmm_dishonest_casino").expected, done.result.parameters
    limit = expected["baum_welch_limit_from_true"]
    yield done.result.log_likelihood, limit["loglik"], 1e-8
    yield values.swap, limit["A"], 1e-4
    yield values.faces, limit["E"], 1e-4
    climb = [objective for _, objective in done.result.history]
    yield climb[:20], expected["baum_welch_trace_from_true_first_51"][:20], 1e-7


@example(EXACT, 19)
def probabilistic_pca(done: Run) -> Numbers:
    expected, values = known("ppca_iris").expected["q2"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-6
    yield values.noise**2, expected["sigma2"], 1e-5
    yield values.W @ values.W.T, expected["WWt"], 1e-4


@example(EXACT, 21)
def factor_analysis(done: Run) -> Numbers:
    from sklearn.decomposition import FactorAnalysis

    peer = FactorAnalysis(1, tol=1e-8, max_iter=5000, svd_method="lapack").fit(done.data)
    values = done.result.parameters
    yield done.result.log_likelihood, len(done.data) * peer.score(done.data), 1e-5
    yield values.noise**2, peer.noise_variance_, 1e-3
    yield np.abs(values.loadings), np.abs(peer.components_[0]), 1e-3


@example(EXACT, 8)
def random_intercept(done: Run) -> Numbers:
    expected, values = known("lmm_sleepstudy").expected["ml_intercept_only"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-5
    yield [values.a, values.b], list(expected["fixed"].values()), 1e-3
    yield [values.between, values.within], [part["sdcor"] for part in expected["varcomp"]], 1e-3
    ragged, kept = done.names["ragged"], done.names["kept"]
    reaction, days, subject = done.data.values[kept].T
    assert set(np.unique(subject, return_counts=True)[1]) == {6, 10}
    yield ragged.log_likelihood, largest_marginal(reaction, days, subject), 1e-6


def largest_marginal(reaction: np.ndarray, days: np.ndarray, subject: np.ndarray) -> float:
    """The maximum of the closed-form likelihood: each subject's rows are jointly normal."""

    def minus(vector: np.ndarray) -> float:
        a, b, between, within = *vector[:2], *np.exp(2 * vector[2:])
        total = 0.0
        for key in np.unique(subject):
            rows = subject == key
            covariance = between + within * np.eye(rows.sum())
            total += stats.multivariate_normal.logpdf(reaction[rows], a + b * days[rows], covariance)
        return -total

    return -float(optimize.minimize(minus, [250.0, 10.0, 3.5, 3.5], method="BFGS", options={"gtol": 1e-4}).fun)


@example(ADAPTIVE, 14)
def probit(done: Run) -> Numbers:
    expected = known("probit_spector_mazzeo").expected
    yield done.result.log_likelihood, expected["loglik"], 1e-8
    yield done.result.parameters.b, expected["coef"], 1e-4
    steps = islice(iterate(done.result.model, done.source, done.model.parameters(b=np.zeros(4)), executor=Serial()), 6)
    trace = [[step.log_likelihood, *step.parameters.b] for step in steps]
    yield trace, expected["EM_trace_[loglik,b]_first_11"][:6], 1e-7


@example(ADAPTIVE, 3)
def censored_exponential(done: Run) -> Numbers:
    hours, failed = np.array(done.data["hours"]), np.array(done.data["failed"])
    mean = hours.sum() / failed.sum()
    yield done.result.parameters.mean, mean, 0.1
    yield done.result.log_likelihood, -failed.sum() * (np.log(mean) + 1), 1e-8


@example(ADAPTIVE, 7)
def censored_normal(done: Run) -> Numbers:
    expected, values = known("censored_motorette").expected["direct"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-6
    yield [values.a, values.b], expected["coef"], 1e-5
    yield values.scale, expected["sigma"], 1e-5


@example(ADAPTIVE, 5)
def student_t(done: Run) -> Numbers:
    values = done.result.parameters
    theirs = stats.t.fit(done.data, 3, loc=27, scale=5)
    yield done.result.log_likelihood, stats.t.logpdf(done.data, *theirs).sum(), 1e-6
    yield [values.df, values.location, values.scale], theirs, 1e-3
    yield done.result.log_likelihood, stats.t.logpdf(done.data, values.df, values.location, values.scale).sum(), 1e-8


@example(HERMITE, None)
def item_response(done: Run) -> Numbers:
    expected, values = known("irt_lsat6").expected["two_pl_exact_quadrature"], done.result.parameters
    yield done.result.log_likelihood, expected["loglik"], 1e-6
    yield values.easiness, expected["intercept_d"], 1e-4
    yield values.slope, expected["slope_a"], 1e-4


@example(ENUMERATION, 3)
def tuning_an_octave(done: Run) -> Numbers:
    stretch, tuned = done.data.values.T

    def minus(vector: np.ndarray) -> float:
        shares = np.exp(vector[:3] - np.logaddexp.reduce(vector[:3]))
        scales = 0.001 + np.exp(vector[3:])
        parts = [stats.norm.pdf(tuned, stretch, scales[0]), stats.norm.pdf(tuned, 2, scales[1]), np.full(150, 1 / 3)]
        return -float(np.log(shares @ parts).sum())

    best = optimize.minimize(minus, [0.0, 0.0, 0.0, -6.0, -3.0], method="BFGS", options={"gtol": 1e-4})
    yield done.result.log_likelihood, -best.fun, 1e-5


@example(EXACT, None)
def sleep_onset(done: Run) -> Numbers:
    values, table = done.result.parameters, done.data
    total = 0.0
    for key in np.unique(table.column("subject")):
        rows = table.column("subject") == key
        parts = []
        for onset, share in enumerate(values.onset):
            design = np.column_stack([np.ones(rows.sum()), np.maximum(table.column("days")[rows] - onset, 0)])
            factor = design @ values.spread
            covariance = factor @ factor.T + values.noise**2 * np.eye(rows.sum())
            normal = stats.multivariate_normal(design @ values.mean, covariance)
            parts.append(np.log(max(share, 1e-300)) + normal.logpdf(table.column("reaction")[rows]))
        total += np.logaddexp.reduce(parts)
    yield done.result.log_likelihood, total, 1e-7


every_example = pytest.mark.parametrize("one", EXAMPLES, ids=lambda one: one.name)


@every_example
def test_an_example_gives_the_known_numbers(one: Example) -> None:
    done = run(one.name)
    assert done.result.converged, done.result.status.value
    for found, expected, tolerance in one.numbers(done):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@every_example
def test_what_em_does_is_explained_rightly(one: Example) -> None:
    told = run(one.name).result.explain()
    assert one.kind in told.e_step
    assert told.rank == one.rank
    assert (told.reason is None) == (one.rank is not None)
    assert (told.approximate is None) == (one.kind in (ENUMERATION, CHAIN, EXACT))


def q_over_data(model: Any, source: Any, params: Any, at: Any) -> float:
    """Q(at; params) and the log prior, from the densities of all the data."""
    shares = (float(model._q_share(params, at.flatten(), batch).value) for batch in source)
    return sum(shares) + model.log_prior(at)


SEEDS, STEPS = range(3), 5


def far_out(done: Run, seed: int) -> Any:
    """The example's start with each coordinate moved by about ten, or by its own size where that is more than ten."""
    near = done.start()
    moved = 10 * np.maximum(1.0, np.abs(near) / 10) * np.random.default_rng(seed).normal(size=len(near))
    return done.result.parameters.unflatten(near + moved)


@every_example
def test_q_never_falls_from_starts_ten_times_further_out(one: Example) -> None:
    done, climbed = run(one.name), 0
    for seed in SEEDS:
        start = far_out(done, seed)
        try:
            model = prepare(done.model, done.source, start)
            steps = list(islice(iterate(model, done.source, start, executor=Serial()), STEPS))
        except em.DataError:  # no covariance is that near to singular and still a number
            continue
        climbed += 1
        check_ascent(model, done.source, steps)
    assert climbed >= len(SEEDS) - 1


def check_ascent(model: Any, source: Any, steps: list[Any]) -> None:
    for step in steps:
        assert np.isfinite(step.parameters.flatten()).all() and np.isfinite(step.objective)
        before = q_over_data(model, source, step.parameters, step.parameters)
        after = q_over_data(model, source, step.parameters, step.em_parameters)
        assert after >= before - 1e-9 * max(1.0, abs(before))
    gains = np.diff([step.objective for step in steps])
    assert np.all(gains >= [-step.rounding for step in steps[1:]])
    assert gains[0] > 0


def test_every_example_is_tested_and_on_the_page() -> None:
    page = (DOCS / "declared-models.md").read_text(encoding="utf-8")
    files = {path.stem for path in FOLDER.glob("*.py")}
    assert files == {one.name for one in EXAMPLES}
    for name in files:
        assert f"examples/{name}.py" in page


@every_example
def test_an_example_is_short(one: Example) -> None:
    text = (FOLDER / f"{one.name}.py").read_text(encoding="utf-8")
    docstring = ast.parse(text).body[0]
    lines = [line for line in text.splitlines()[docstring.end_lineno :] if line.strip()]
    assert len(lines) <= 24


@every_example
def test_the_page_shows_the_log_likelihood_that_the_example_gives(one: Example) -> None:
    page = (DOCS / "declared-models.md").read_text(encoding="utf-8")
    after = page.split(f"examples/{one.name}.py")[1].split("literalinclude")[0]
    assert f"{run(one.name).result.log_likelihood:.3f}" in after


@pytest.mark.parametrize(
    ("loader", "reference", "columns"),
    [
        ("london_times", "poisson_mixture_london_times", ("deaths", "days")),
        ("biochemists", "zip_biochemists", ("art", "kid5", "ment")),
        ("tone_perception", "mixreg_tonedata", ("stretchratio", "tuned")),
        ("casino", "hmm_dishonest_casino", ("roll",)),
        ("sleep_study", "lmm_sleepstudy", ("Reaction", "Days", "Subject")),
        ("spector_mazzeo", "probit_spector_mazzeo", ("grade", "gpa", "tuce", "psi")),
        ("motorette", "censored_motorette", ("temp", "time", "cens")),
        ("lsat6", "irt_lsat6", ("Item1", "Item2", "Item3", "Item4", "Item5", "freq")),
    ],
)
def test_data_that_are_shipped_are_those_of_the_reference(loader: str, reference: str, columns: Any) -> None:
    table = getattr(em.datasets, f"load_{loader}")()
    ours = {"art": "articles", "kid5": "children", "ment": "mentor"}
    shown = table.select([ours[name] for name in columns]) if columns[0] == "art" else table
    np.testing.assert_array_equal(shown.values, known(reference).columns(*columns))
    for name in table.names:
        assert (name in table.whole) == bool(np.all(table.column(name) == np.round(table.column(name))))
