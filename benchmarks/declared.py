"""Declared models: an iteration beside the built-in's, and EM beside L-BFGS on the marginal likelihood, in one run.

    python benchmarks/declared.py

L-BFGS is SciPy's on the unconstrained vector, in memory of 10 pairs.  Where z is enumerated row by row, its gradient is
JAX's of Σ log Σ_z exp(log joint), compiled whole, as one would write it; for the other models it is the gradient of the
same marginal likelihood by Fisher's identity.  Both start at the example's start; times are without compilation, until
the log-likelihood is within 1e-6 of the better of the two ends.
"""

from __future__ import annotations

import runpy
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Row, paired, seconds, show
from jax.scipy.stats import norm
from scipy.optimize import minimize

import latentem as em
from latentem.execution import Serial, Threads
from latentem.families.gaussian import DiagonalGaussian, DiagonalGaussianParameters
from latentem.latents.categorical import CategoricalParameters
from latentem.models.declared import prepare
from latentem.models.declared.compiled import compiled
from latentem.models.declared.e_steps import Enumeration
from latentem.models.declared.parameters import unflatten
from latentem.sources import Grouping, as_source

EXAMPLES = Path(__file__).resolve().parents[1] / "docs" / "examples"
NAMES = (
    "gaussian_mixture",
    "gaussian_mixture_4d",
    "poisson_mixture",
    "genetic_linkage",
    "blood_groups",
    "two_coins",
    "zero_inflated_poisson",
    "two_regressions",
    "dishonest_casino",
    "factor_analysis",
    "random_intercept",
    "probit",
    "censored_normal",
    "student_t",
    "item_response",
)
CLOSE = 1e-6
MOST = 2000


def main() -> int:
    warnings.simplefilter("ignore")
    print(f"latentem {em.__version__}, JAX {jax.__version__}, NumPy {np.__version__}")
    met = show("A declared mixture of three normals, 1,000,000 rows, float64", [iteration(asked=3.0)])
    print("\nSeconds to the same log-likelihood (within 1e-6 of the better end), without compilation")
    print(f"{'model':24}{'EM':>10}{'SQUAREM':>10}{'L-BFGS':>10}   EM passes  L-BFGS evaluations  remarks")
    for name in NAMES:
        print(against_lbfgs(name), flush=True)
    return 0 if met else 1


# -- an iteration beside the built-in's --------------------------------------------------------


@em.latent_variable_model(
    latent=em.Categorical(3),
    parameters={"weights": em.Simplex(3), "means": em.Real(3), "scales": em.Positive(3)},
)
def three_normals(x: Any, z: Any, theta: Any) -> Any:
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


def iteration(asked: float) -> Row:
    rng = np.random.default_rng(0)
    z = rng.integers(3, size=1_000_000)
    x = np.array([-3.0, 0.0, 4.0])[z] + np.array([1.0, 0.7, 1.5])[z] * rng.normal(size=len(z))
    weights, means = [0.3, 0.3, 0.4], [-2.0, 0.5, 3.0]
    declared_start = three_normals.parameters(weights=weights, means=means, scales=1.0)
    built_in = em.LatentVariableModel(em.Categorical(3), DiagonalGaussian())
    built_in_start = em.ModelParameters(
        CategoricalParameters(np.array(weights)), DiagonalGaussianParameters(np.array(means)[:, None], np.ones((3, 1)))
    )
    source = as_source(x, grouping=Grouping())
    model = prepare(three_normals, source, declared_start)

    def of(model: Any, start: Any) -> Callable[[], float]:
        """Seconds of an iteration: of 11 less those of one, over ten."""
        with_workers = Threads()

        def passes(n: int) -> Any:
            return em.run(model, source, start, executor=with_workers, max_iter=n, tol=0.0)

        passes(1)
        return lambda: (seconds(lambda: passes(11)) - seconds(lambda: passes(1))) / 10

    ends = [em.run(m, source, s, executor=Threads(), max_iter=10, tol=0.0) for m, s in
            ((model, declared_start), (built_in, built_in_start))]
    apart = abs(ends[0].log_likelihood - ends[1].log_likelihood)
    assert apart <= 1e-12 * abs(ends[1].log_likelihood), f"log-likelihoods after 10 iterations are {apart} apart"
    ours, peer, ratio = paired(of(model, declared_start), of(built_in, built_in_start), 5)
    return Row(
        "an iteration", f"{ours:.4f} s", f"{peer:.4f} s (built-in)", f"{1 / ratio:.2f} times", f"<= {asked:g} times",
        1 / ratio <= asked,
    )


# -- EM beside L-BFGS --------------------------------------------------------------------------


def against_lbfgs(name: str) -> str:
    model, data, columns, start = recorded(name)
    source = as_source(data, grouping=model.declaration.grouping, **columns)
    params = start if not isinstance(start, dict) else model.parameters(**start)
    ready = prepare(model, source, params)
    traces = {}
    for scheme in (None, em.Squarem()):
        for _ in range(2):
            traces[scheme is None] = em_trace(ready, source, params, scheme)
    for _ in range(2):
        lbfgs = lbfgs_trace(ready, source, params)
    best = max(value for trace in (*traces.values(), lbfgs) for _, value in trace)
    cells = [reached(trace, best) for trace in (traces[True], traces[False], lbfgs)]
    shown = "".join(f"{'never' if cell is None else f'{cell[0]:.4f}':>10}" for cell in cells)
    counts = f"{'' if cells[0] is None else cells[0][1]:>12}{'' if cells[2] is None else cells[2][1]:>20}"
    falls = [best - max(v for _, v in trace) for trace in (traces[True], lbfgs)]
    remarks = [f"{who} ends {gap:.2g} lower" for who, gap in zip(("EM", "L-BFGS"), falls, strict=True) if gap > CLOSE]
    return f"{name:24}{shown}{counts}  {'; '.join(remarks)}"


def recorded(name: str) -> tuple[Any, Any, dict[str, Any], Any]:
    """What the example hands to `em.fit` first: model, data, columns beside them, start (drawn where it has none)."""
    seen: list[tuple[Any, Any, dict[str, Any]]] = []
    original = em.fit

    def spy(model: Any, data: Any, **options: Any) -> Any:
        seen.append((model, data, options))
        return original(model, data, **options)

    em.fit = spy
    try:
        runpy.run_path(str(EXAMPLES / f"{name}.py"))
    finally:
        em.fit = original
    model, data, options = seen[0]
    columns = {key: options[key] for key in ("sample_weight", "groups", "lengths") if key in options}
    start = options.get("parameters")
    complete = isinstance(start, em.DeclaredParameters) or (
        start is not None and len(start) == len(model.declaration.domains)
    )
    if not complete:
        first = original(model, data, **{**options, "max_iter": 0})
        start = first.parameters
    return model, data, columns, start


Trace = list[tuple[float, float]]


def em_trace(model: Any, source: Any, params: Any, scheme: Any) -> Trace:
    trace: Trace = []
    begin = time.perf_counter()
    em.run(
        model, source, params, executor=Serial(), acceleration=scheme, tol=1e-9, max_iter=MOST,
        callbacks=[lambda iteration: trace.append((time.perf_counter() - begin, iteration.objective)) and False],
    )
    return trace


def lbfgs_trace(model: Any, source: Any, params: Any) -> Trace:
    value_and_gradient = marginal(model, source, params)
    trace: Trace = []
    best = -np.inf
    begin = time.perf_counter()

    def negative(vector: Any) -> tuple[float, Any]:
        nonlocal best
        with np.errstate(all="ignore"):
            try:
                value, gradient = value_and_gradient(vector)
            except (ValueError, ArithmeticError):
                value, gradient = -np.inf, np.zeros_like(vector)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e300, np.zeros_like(vector)
        best = max(best, value)
        trace.append((time.perf_counter() - begin, best))
        return -value, -np.asarray(gradient)

    options = {"maxiter": MOST, "maxfun": 10 * MOST, "ftol": 1e-15, "gtol": 1e-8, "maxcor": 10}
    minimize(negative, params.flatten(), jac=True, method="L-BFGS-B", options=options)
    return trace


def marginal(model: Any, source: Any, params: Any) -> Callable[[Any], tuple[float, Any]]:
    """The marginal log-likelihood (plus log prior) of the unconstrained vector, with its gradient."""
    declaration = model.declaration
    if isinstance(model.estep, Enumeration) and not declaration.per_group and declaration.log_prior is None:
        return jax_marginal(model, source)

    def by_fisher(vector: Any) -> tuple[float, Any]:
        there = params.unflatten(vector)
        total = Serial().fold(lambda batch: model.e_step(there, batch), source)
        score = model.objective_score(total.statistics, there)
        return total.log_likelihood + model.log_prior(there), score

    return by_fisher


def jax_marginal(model: Any, source: Any) -> Callable[[Any], tuple[float, Any]]:
    batches = list(source)
    x = np.concatenate([batch.values for batch in batches])
    w = np.concatenate([np.ones(len(batch)) if batch.weights is None else batch.weights for batch in batches])
    functions = compiled(model.declaration, source.layout)
    states = jnp.arange(functions.space.n_states)

    def total(vector: Any) -> Any:
        theta = unflatten(model.declaration.domains, vector, jnp)
        log_joint = jax.vmap(lambda k: jax.vmap(lambda row: functions._unit(row, jnp.empty(0), k, theta))(x))(states)
        return w @ jax.nn.logsumexp(log_joint, axis=0)

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(total))

    def evaluate(vector: Any) -> tuple[float, Any]:
        with jax.enable_x64(True):
            value, gradient = both(vector)
        return float(value), np.asarray(gradient)

    evaluate(np.asarray(vector_of(model)))
    return evaluate


def vector_of(model: Any) -> Any:
    """Any vector of the right length, to compile with."""
    return np.zeros(sum(domain.n_free(domain.shape) for _, domain in model.declaration.domains))


def reached(trace: Trace, best: float) -> tuple[float, int] | None:
    """Seconds and evaluations until within `CLOSE` of the best; None if never."""
    return next(((when, n) for n, (when, value) in enumerate(trace) if value >= best - CLOSE), None)


if __name__ == "__main__":
    sys.exit(main())
