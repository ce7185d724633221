"""A log-likelihood that is simulated has no verdict, and the certificate says why and what would decide."""

from __future__ import annotations

import numpy as np
import pytest
from jax.scipy.stats import norm

import latentem as em
from latentem.inference import Verdict


def one_normal(e_step: str) -> em.EMResult:
    @em.latent_variable_model(
        latent=em.Normal(), parameters={"mean": em.Real(), "scale": em.Positive()}, e_step=e_step
    )
    def noisy(x, z, theta):
        return norm.logpdf(z, theta.mean, 1.0) + norm.logpdf(x, z, theta.scale)

    x = np.random.default_rng(0).normal(1.0, 1.8, 60)
    start = {"mean": 0.5, "scale": 1.0}
    return em.fit(noisy, x, parameters=start, certify=True, max_iter=300, tol=1e-4, random_state=0)


@pytest.mark.filterwarnings("ignore::latentem.FindingWarning")
@pytest.mark.parametrize("e_step", ["monte-carlo", "saem"])
def test_a_simulated_log_likelihood_has_no_verdict(e_step):
    certificate = one_normal(e_step).certificate
    assert certificate.verdict is Verdict.UNDECIDED and certificate.way_out is None
    assert "simulated" in certificate.reasons[0] and "would decide" in certificate.reasons[0]


def test_the_same_model_without_simulation_has_one():
    assert one_normal("auto").certificate.verdict is Verdict.MAXIMUM
