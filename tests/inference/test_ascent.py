"""The identity behind EM, step by step: what the objective gains is what Q gains and a Kullback-Leibler divergence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from inference.stationary import fitted, mixture, murray, two_humps
from inference.test_zoo_certificates import FAMILIES, PAIRS, drawn

import latentem as em
from latentem.families.gaussian import DiagonalGaussian
from latentem.inference.ascent import Gain, Recorder, told_of_ascent
from latentem.result import Step
from latentem.statistics import is_local

pytestmark = pytest.mark.filterwarnings("ignore::latentem.FindingWarning")


@pytest.mark.parametrize(("family", "latent"), PAIRS, ids=[" x ".join(pair) for pair in PAIRS])
def test_the_gain_is_that_of_q_and_a_divergence(family, latent):
    model, params, x, options = drawn(family, latent)
    recorder = Recorder(model)
    result = em.fit(model, x, parameters=params, tol=0.0, max_iter=12, callbacks=(recorder,), **options)
    assert len(recorder.gains) == len(result.history) - 1
    local = is_local(result.expectation.statistics)
    for one in recorder.gains:
        assert not one.fell
        assert np.isnan(one.q) == (local or one.step is Step.NONE)
        if not np.isnan(one.q):
            slack = 10 * one.rounding
            assert one.q >= -slack, (family, latent, one)
            assert one.kl >= -slack, (family, latent, one)
            assert one.q + one.kl == one.gain


def test_the_divergence_is_that_of_the_posteriors():
    """Σ KL(q ‖ p(z | x; θ')) by its definition, over the rows."""
    model, source = mixture(DiagonalGaussian(), 2), two_humps()
    points, recorder = [], Recorder(model)
    watch = (recorder, lambda iteration: points.append(iteration.parameters))
    em.fit(model, source, random_state=0, tol=0.0, max_iter=5, callbacks=watch)
    batch = next(iter(em.ArraySource(source)))
    for one, (before, after) in zip(recorder.gains, pairwise(points), strict=True):
        q, p = (model.infer(params, batch)[0].probabilities for params in (before, after))
        assert one.kl == pytest.approx(float(np.sum(q * np.log(q / p))), abs=1e-9)


def test_a_certified_fit_carries_its_record():
    result = em.fit(mixture(DiagonalGaussian(), 2), two_humps(), random_state=0, certify=True)
    assert len(result.ascent) == len(result.history) - 1
    assert sum(one.gain for one in result.ascent) == pytest.approx(result.objective - result.history[0][1])
    assert "none of which lowered the objective" in str(result.certificate)
    assert "in KL" in str(result.certificate)
    assert "strict local maximum" in repr(result)
    assert np.abs(result.score).max() < 1e-2
    assert fitted(mixture(DiagonalGaussian(), 2), two_humps(), random_state=0).ascent == ()


def test_the_record_goes_on_past_a_saddle():
    stood = murray(0.0)
    result = em.fit(stood.model, stood.source, parameters=stood.parameters, certify=True)
    assert len(result.ascent) > 5
    assert len(result.ascent) < len(result.history)


def test_a_fall_is_a_fault_that_is_named():
    gains = (Gain(Step.EM, 1.0, 0.7, 1e-9), Gain(Step.EM, -1.0, -0.5, 1e-9))
    assert "FAULT: the objective fell beyond its rounding error in step 2" in told_of_ascent(gains)[0]
    assert told_of_ascent(()) == ()


def test_every_pair_of_the_zoo_was_asked():
    assert {family for family, _ in PAIRS} >= set(FAMILIES) - {"Truncated, on both sides"}
