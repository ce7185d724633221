"""Few functions are compiled, once for all data of a kind; nothing global changes; float64 stays inside."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from declared.zoo import ANSWERS, FRAILTY, HMM, MIXED, NORMALS, WITH_PRIOR, ZOO, two_normals
from scipy import stats

import latentem as em
from latentem.layout import Layout
from latentem.models.declared.compiled import compiled

MOST_FUNCTIONS = 6
# Anew, so that nothing is compiled yet: with a prior, a chain, and each kind of continuous z.
KINDS = {"log_prior": WITH_PRIOR, "MarkovChain": HMM, "Normal, groups, quadrature": ANSWERS}
KINDS |= {"Continuous, groups": FRAILTY, "Categorical x Normal, groups": MIXED}


def anew(model: Any) -> Any:
    """The same declaration, of which nothing is compiled."""
    declared = model.declaration
    return em.latent_variable_model(
        **declared.densities,
        latent=dict(declared.space.parts) if declared.space.kind == "record" else declared.space.parts[0][1],
        parameters=dict(declared.domains),
        log_prior=declared.log_prior,
        group=declared.group,
        name=declared.name,
    )


def traced(result: Any) -> Counter[str]:
    """How often each function of the fitted model was traced."""
    return Counter(compiled(result.model.declaration, result.model.layout).traced)


def others(data: Any, times: int) -> Any:
    """Other data of the same kind: some rows of the first, several times, in new groups."""
    rng = np.random.default_rng(5)
    n = len(data) if isinstance(data, np.ndarray) else len(next(iter(data.values())))
    rows = np.sort(rng.permutation(n)[: n - 5])

    def other(name: str, column: np.ndarray) -> np.ndarray:
        again = np.tile(column[rows], times)
        if name in ("person", "sequence", "family", "subject"):
            return again + 100 * np.repeat(np.arange(times), len(rows))
        return again + (0.01 * rng.random(len(again)) if again.dtype.kind == "f" else 0)

    return {name: other(name, column) for name, column in data.items()} if isinstance(data, dict) else other("", data)


@pytest.mark.parametrize("name", KINDS)
def test_few_functions_are_compiled_and_a_second_fit_traces_none(name):
    specimen, model = ZOO[name], anew(KINDS[name])
    options = {"parameters": specimen.parameters, "max_iter": 3}
    result = em.fit(model, specimen.data, **options)
    result.posterior(specimen.data)
    before = traced(result)
    assert 2 <= sum(before.values()) <= MOST_FUNCTIONS, before
    again = em.fit(model, others(specimen.data, 12), **options)
    again.posterior(others(specimen.data, 2))
    assert traced(again) == before
    assert again.log_likelihood != result.log_likelihood


def normal_mixture() -> Any:
    return em.latent_variable_model(two_normals, latent=em.Categorical(2), parameters=NORMALS)


def two_clusters(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=n) + 4 * (rng.random(n) < 0.4)


def test_data_of_any_length_and_random_starts_share_the_functions():
    model = normal_mixture()
    counts = [traced(em.fit(model, two_clusters(n), random_state=n, max_iter=3)) for n in (3, 40, 700, 20_000)]
    assert sum(counts[0].values()) <= MOST_FUNCTIONS
    assert counts.count(counts[0]) == len(counts)


def test_functions_belong_to_a_declaration_and_a_kind_of_rows():
    model, x = normal_mixture(), two_clusters(50)
    first, second = (em.fit(model, data, random_state=0, max_iter=2).model for data in (x, x[:20]))
    of_vectors = compiled(model.declaration, Layout.vector(3))
    own = compiled(first.declaration, first.layout)
    assert own is compiled(second.declaration, second.layout)
    assert own is not of_vectors
    assert own is not compiled(normal_mixture().declaration, first.layout)


# -- nothing global ----------------------------------------------------------------------------

GLOBALS = """
import numpy as np
np.random.seed(3)
state = np.random.get_state(legacy=False)["state"]
import latentem as em
@em.latent_variable_model(latent=em.Bernoulli(), parameters={"share": em.UnitInterval(), "means": em.Real(2)})
def model(x, z, theta):
    import jax.numpy as jnp
    from jax.scipy.stats import norm
    return jnp.where(z == 1, jnp.log(theta.share), jnp.log1p(-theta.share)) + norm.logpdf(x, theta.means[z])
em.fit(model, np.random.default_rng(0).normal(size=30), random_state=0, max_iter=3)
after = np.random.get_state(legacy=False)["state"]
assert after["pos"] == state["pos"] and np.array_equal(after["key"], state["key"]), "NumPy's generator was used"
import jax
assert not jax.config.jax_enable_x64, "float64 was turned on for everybody"
assert jax.numpy.ones(2).dtype == "float32"
"""


def test_the_first_fit_leaves_global_state_alone_even_as_it_imports_jax():
    done = subprocess.run([sys.executable, "-W", "error", "-c", GLOBALS], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_configuration_of_jax_is_as_it_was():
    before = dict(jax.config.values)
    em.fit(normal_mixture(), two_clusters(60), random_state=0, max_iter=3)
    assert dict(jax.config.values) == before


def test_densities_see_float64_and_are_as_exact():
    seen = set()

    def density(x: Any, z: Any, theta: Any) -> Any:
        seen.update(jnp.asarray(value).dtype.name for value in (x, theta.weights, jnp.log(theta.scales)))
        return two_normals(x, z, theta)

    x, start = two_clusters(60), {"weights": [0.3, 0.7], "means": [0.1, 4.0], "scales": [1.1, 0.9]}
    model = em.latent_variable_model(density, latent=em.Categorical(2), parameters=NORMALS)
    result = em.fit(model, x.astype(np.float32), parameters=start, max_iter=0)
    assert seen == {"float64"}
    single = x.astype(np.float32).astype(float)
    expected = np.log(sum(w * stats.norm.pdf(single, m, s) for w, m, s in zip(*start.values(), strict=True)))
    np.testing.assert_allclose(result.model.log_likelihood(result.parameters, x.astype(np.float32)), expected, 1e-13)


def test_float32_code_of_the_user_goes_on_as_before():
    calls = Counter[str]()

    @jax.jit
    def mine(x: Any) -> Any:
        calls["traced"] += 1
        return jnp.cumsum(jnp.sin(x) / 3.0)

    x = jnp.linspace(0.0, 1.0, 50)
    before = mine(x)
    em.fit(normal_mixture(), two_clusters(60), random_state=0, max_iter=3)
    after = mine(x)
    assert after.dtype == jnp.float32 == jnp.linspace(0.0, 1.0, 50).dtype
    assert np.asarray(after).tobytes() == np.asarray(before).tobytes()
    assert calls["traced"] == 1


def test_a_density_with_float32_constants_of_the_user_is_computed_in_float64():
    constant = jnp.asarray([0.0, 4.0])
    assert constant.dtype == jnp.float32
    model = em.latent_variable_model(
        lambda x, z, theta: jnp.log(theta.weights[z]) - 0.5 * (x - constant[z]) ** 2,
        latent=em.Categorical(2),
        parameters={"weights": em.Simplex(2)},
    )
    x = two_clusters(40)
    found = em.fit(model, x, parameters={"weights": [0.6, 0.4]}, max_iter=0)
    expected = np.sum(np.log(0.6 * np.exp(-0.5 * x**2) + 0.4 * np.exp(-0.5 * (x - 4) ** 2)))
    assert found.log_likelihood == pytest.approx(expected, rel=1e-13)


# -- at once -----------------------------------------------------------------------------------


def test_fits_at_once_give_what_they_give_alone():
    """Two of one model, which compile it together, and one of another; the main thread stays in float32."""
    shared, other = normal_mixture(), anew(HMM)
    jobs = [(shared, two_clusters(300, seed)) for seed in (1, 2)] + [(other, ZOO["MarkovChain"].data)]
    together = Barrier(len(jobs) + 1)

    def fitted(job: Any) -> bytes:
        together.wait()
        return em.fit(*job, random_state=0, max_iter=20).parameters.flatten().tobytes()

    with ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(fitted, job) for job in jobs]
        together.wait()
        kinds = {jnp.ones(3).dtype.name}
        while not all(future.done() for future in futures):
            kinds.add(jnp.arange(3.0).dtype.name)
            sleep(0.01)
        found = [future.result() for future in futures]
    assert kinds == {"float32"}
    assert found == [em.fit(*job, random_state=0, max_iter=20).parameters.flatten().tobytes() for job in jobs]
    assert sum(traced(em.fit(*jobs[0], random_state=0, max_iter=1)).values()) <= MOST_FUNCTIONS
