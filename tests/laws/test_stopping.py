"""A fit that says converged is within its tolerance of the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import pytest
import zoo

from latentem.acceleration import Lbfgs, SubspaceNewton
from latentem.data import ArraySource
from latentem.datasets import load_faithful
from latentem.em import RemainingGain, iterate, run
from latentem.estimators import GaussianMixture
from latentem.execution import Serial
from latentem.families import FullGaussian
from latentem.latents import Categorical
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.result import Iteration, Status, Step
from latentem.secants import Secants
from latentem.testing import draw, overlapping_mixture

SERIAL = Serial()
SCHEMES = {"plain EM": lambda: None, **zoo.ACCELERATIONS}


@dataclass(frozen=True)
class Problem:
    """A model, data, and where to start."""

    model: LatentVariableModel
    source: ArraySource
    start: ModelParameters

    def fit(self, acceleration=None, start=None, **options):
        options = {"max_iter": 400, **options}
        begin = self.start if start is None else start
        return run(self.model, self.source, begin, executor=SERIAL, acceleration=acceleration, **options)

    def limit(self, start):
        """The largest objective that a long fit from there reaches, by two schemes."""
        best = -np.inf
        for scheme, passes in ((SubspaceNewton(), 60), (Lbfgs(), 20)):
            options = {"executor": SERIAL, "acceleration": scheme, "rule": RemainingGain(0.0)}
            steps = iterate(self.model, self.source, start, **options)
            best = max(best, *(iteration.objective for iteration in islice(steps, passes)))
        return best


def problem_of(name):
    specimen, rng = zoo.FAMILIES[name], np.random.default_rng(3)
    family, params = specimen.of(2), specimen.parameters(2)
    batch, _ = draw(family, params, 2, rng, 150, specimen.n_covariates)
    lengths = batch.group_lengths if family.per_group else None if specimen.independent else [60, 40, 50]
    source = ArraySource(batch.values, lengths=lengths, covariates=batch.covariates)
    start = ModelParameters(CategoricalParameters(np.array([0.3, 0.7])), params)
    return Problem(LatentVariableModel(Categorical(2), family), source, start)


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_fit_that_says_converged_is_within_its_tolerance_of_the_limit(name):
    """Of every scheme; most of them end at one limit, and where one does not, its own is looked for."""
    problem = problem_of(name)
    results = {scheme: problem.fit(make(), tol=1e-4) for scheme, make in SCHEMES.items()}
    limit = problem.limit(max(results.values(), key=lambda result: result.objective).parameters)
    for scheme, result in results.items():
        allowed = 1e-4 + 1e-11 * abs(result.objective)
        if result.converged and limit - result.objective > allowed:
            assert problem.limit(result.parameters) - result.objective <= allowed, (scheme, result)


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_fit_that_begins_near_its_limit_ends_there_soon(name):
    problem = problem_of(name)
    limit = problem.fit(tol=1e-9, acceleration=SubspaceNewton())
    tol = max(1e-2, 1e3 * (problem.limit(limit.parameters) - limit.objective))
    for scheme in (None, SubspaceNewton()):
        again = problem.fit(start=limit.parameters, tol=tol, acceleration=scheme)
        assert again.converged
        assert again.n_iter <= 3
        assert problem.limit(again.parameters) - again.objective <= tol


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_also_where_em_is_slow(scheme, tol):
    problem = Problem(*overlapping_mixture())
    result = problem.fit(SCHEMES[scheme](), tol=tol, max_iter=20_000)
    assert result.converged
    assert problem.limit(result.parameters) - result.objective <= tol + 1e-11 * abs(result.objective)


def linear(d, rng):
    """A quadratic with maximum 0 at 0: information I, complete information C, and EM's map θ ↦ θ - C⁻¹ I θ."""
    root = rng.normal(size=(d, d))
    information = root @ root.T / d + 0.02 * np.eye(d)
    extra = rng.normal(size=(d, d))
    return information, information + extra @ extra.T


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_estimate_is_exact_on_a_quadratic_whose_directions_were_all_seen(d):
    rng = np.random.default_rng(d)
    information, complete = linear(d, rng)
    secants = Secants.none(d)
    for _ in range(d + 1):
        theta = rng.normal(size=d)
        score = -information @ theta
        secants = secants.seen(theta, np.linalg.solve(complete, score), score, 10)
    plane = secants.plane
    assert plane.remaining(0.999) == pytest.approx(theta @ information @ theta / 2, rel=1e-7)
    slowest = 1 - np.linalg.eigvals(np.linalg.solve(complete, information)).real.min()
    assert plane.rate == pytest.approx(slowest, rel=1e-7)


def test_positive_curvature_along_the_last_move_tells_nothing():
    secants = Secants.none(1).seen(np.array([0.1]), np.array([0.1]), np.array([1.0]), 10)
    assert secants.seen(np.array([0.2]), np.array([0.2]), np.array([2.0]), 10).plane is None


def test_a_coordinate_in_which_em_stands_still_has_no_slope():
    secants = Secants.none(2).seen(np.zeros(2), np.array([0.1, 0.0]), np.array([1.0, 5.0]), 10)
    assert secants.scores.tolist() == [[1.0, 0.0]]
    assert secants.slope == pytest.approx(0.05)


def plain(gains, secants=None):
    """An iteration of which the rule looks at the gains alone."""
    return Iteration(9, None, None, 0.0, 0.0, 1e-12, Step.EM, gains[-1] if gains else np.nan, gains, secants=secants)


def test_without_scores_the_rule_waits_for_three_gains_and_for_contraction():
    rule = RemainingGain(1e-3)
    assert np.isnan(rule.remaining(plain((1e-9, 1e-10))))
    assert rule.remaining(plain((1.0, 2.0, 4.0))) == np.inf
    assert rule.remaining(plain((4.0, 2.0, 1.0))) == pytest.approx(1.0)


def test_a_slope_that_falls_more_slowly_than_the_rate_tells_is_no_convergence():
    """Two directions, rates 0.5 and 0.99: the slow one is hidden until the fast one has died out."""
    information, complete = np.diag([0.5, 0.01]), np.eye(2)
    theta, secants = np.array([1.0, 0.3]), Secants.none(2)
    rule, gains, claims = RemainingGain(1e-3), (), []
    for _ in range(400):
        score = -information @ theta
        secants = secants.seen(theta, np.linalg.solve(complete, score), score, 10)
        before, theta = theta, theta + np.linalg.solve(complete, score)
        gains = (*gains[-2:], (before @ information @ before - theta @ information @ theta) / 2)
        if rule.status(plain(gains, secants)) is not None:
            claims.append(before @ information @ before / 2)
    assert claims
    assert max(claims) <= 1e-3


@pytest.mark.filterwarnings("ignore::latentem.FindingWarning")
@pytest.mark.parametrize("kind", ["full", "tied", "diag", "spherical"])
def test_a_component_at_its_floor_on_a_far_row_ends_a_fit_as_any_other(kind):
    faithful = np.vstack([load_faithful().values, [3.6, 790.0]])
    fit = GaussianMixture(2, covariance_type=kind, random_state=0, max_iter=1000).fit(faithful)
    assert fit.converged_
    assert fit.n_iter_ < 200


@dataclass(frozen=True)
class Wrong(FullGaussian):
    """Its M-step leads downhill, by a little or by much."""

    by: float = 0.0

    def maximize(self, statistics, params):
        found = super().maximize(statistics, params)
        return replace(found, means=found.means + self.by * np.array([1.0, -1.0])[:, None])


@pytest.mark.parametrize("by", [1e-2, 1.0])
def test_an_m_step_that_leads_downhill_never_ends_in_convergence(by):
    rows = np.random.default_rng(0).normal(size=(300, 2)) + 8.0 * np.repeat([0, 1], 150)[:, None]
    source = ArraySource(rows)
    right = LatentVariableModel(Categorical(2), FullGaussian())
    emission = FullGaussian().start(next(iter(source)), 2)
    emission = replace(emission, means=np.array([[0.0, 0.0], [8.0, 8.0]]))
    start = ModelParameters(CategoricalParameters(np.array([0.5, 0.5])), emission)
    there = run(right, source, start, executor=SERIAL, tol=1e-8, max_iter=500).parameters
    result = run(replace(right, family=Wrong(by=by)), source, there, executor=SERIAL, tol=1e-8, max_iter=200)
    assert not result.converged
    assert result.status is Status.STALLED
    assert result.objective >= result.history[0][1] - 1e-8
