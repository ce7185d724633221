"""When does lack of sleep begin to tell?  Each subject's reaction is level until a day of its own, then it changes.

reaction = level + slope · max(days - onset, 0) + noise; onset, level and slope belong to the subject and are not seen.
18 subjects (Belenky et al. 2003).  They slept as usual until day 2: what the model finds can be checked.
"""

import jax.numpy as jnp
from jax.scipy.stats import norm

import latentem as em


@em.latent_variable_model(
    latent={"onset": em.Integers(0, 8), "u": em.Normal(2)},
    parameters={"onset": em.Simplex(9), "mean": em.Real(2), "spread": em.LowerTriangular(2), "noise": em.Positive()},
    log_latent=lambda z, theta: jnp.log(theta.onset[z.onset]) + norm.logpdf(z.u).sum(),
    group="subject",
)
def sleep(x, z, theta):
    level, slope = theta.mean + theta.spread @ z.u
    return norm.logpdf(x["reaction"], level + slope * jnp.maximum(x["days"] - z.onset, 0), theta.noise)


start = {"onset": [1 / 9] * 9, "mean": [250.0, 10.0], "spread": [[25.0, 0.0], [0.0, 6.0]], "noise": 25.0}
result = em.fit(sleep, em.datasets.load_sleep_study(), parameters=start, acceleration="squarem")
