"""A zero-inflated Poisson regression: z = 1 writes no article at all, z = 0 a Poisson number of them.

logit p(z = 1) = a·v and log rate = b·v, v = (1, woman, married, children, prestige, mentor's articles), for 915
students of biochemistry (Long 1990; Lambert 1992).
"""

import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid
from jax.scipy.stats import poisson

import latentem as em


@em.latent_variable_model(latent=em.Bernoulli(), parameters={"a": em.Real(6), "b": em.Real(6)})
def articles(x, z, theta):
    v = jnp.array([1, x["woman"], x["married"], x["children"], x["prestige"], x["mentor"]])
    nothing = jnp.where(x["articles"] == 0, log_sigmoid(theta.a @ v), -jnp.inf)
    return jnp.where(z == 1, nothing, log_sigmoid(-theta.a @ v) + poisson.logpmf(x["articles"], jnp.exp(theta.b @ v)))


start = {"a": np.zeros(6), "b": np.zeros(6)}
result = em.fit(articles, em.datasets.load_biochemists(), parameters=start, acceleration="squarem", tol=1e-9)
