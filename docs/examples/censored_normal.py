"""Right-censored normal lives: log10 hours ~ N(a + b v, s²), v = 1000 / (temperature in kelvin).

Where the test ended first, z is by how much the logarithm of the life was longer; else nothing is hidden.  40
motorettes (Schmee and Hahn 1979; Aitkin 1981).
"""

import jax.numpy as jnp
from jax.scipy.stats import expon, norm

import latentem as em


@em.latent_variable_model(
    latent=em.Continuous(0, jnp.inf), parameters={"a": em.Real(), "b": em.Real(), "scale": em.Positive()}
)
def lives(x, z, theta):
    seen, mean = jnp.log10(x["hours"]), theta.a + theta.b * 1000 / (x["temperature"] + 273.2)
    idle = norm.logpdf(seen, mean, theta.scale) + expon.logpdf(z)  # any density of z would do
    return jnp.where(x["failed"] == 1, idle, norm.logpdf(seen + z, mean, theta.scale))


start = {"a": -5.0, "b": 4.0, "scale": 1.0}
result = em.fit(lives, em.datasets.load_motorette(), parameters=start, acceleration="squarem", tol=1e-10)
