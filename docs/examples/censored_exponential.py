"""Right-censored exponential lives: where the test ended first, z is the life that was left; else nothing is hidden.

Hours of ten motorettes at 170 °C, seven of which failed (Schmee and Hahn 1979).  The maximum is failures / total hours.
"""

import jax.numpy as jnp
from jax.scipy.stats import expon

import latentem as em

motorettes = {
    "hours": [1764, 2772, 3444, 3542, 3780, 4860, 5196, 5448, 5448, 5448],
    "failed": [1, 1, 1, 1, 1, 1, 1, 0, 0, 0],
}


@em.latent_variable_model(latent=em.Continuous(0, jnp.inf), parameters={"mean": em.Positive()})
def lives(x, z, theta):
    idle = expon.logpdf(x["hours"], 0, theta.mean) + expon.logpdf(z)  # any density of z would do
    return jnp.where(x["failed"] == 1, idle, expon.logpdf(x["hours"] + z, 0, theta.mean))


result = em.fit(lives, motorettes, parameters={"mean": 4000.0}, tol=1e-10)
