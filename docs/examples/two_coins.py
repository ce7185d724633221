"""Two coins: each set of ten tosses is of one of them, with equal odds; p(x, z) = 1/2 Binomial(heads; tosses, p_z).

The example that EM is taught with (Do and Batzoglou 2008).
"""

import jax.numpy as jnp
from jax.scipy.stats import binom

import latentem as em

tosses = {"heads": [5, 9, 8, 4, 7], "of": [10, 10, 10, 10, 10]}


@em.latent_variable_model(latent=em.Categorical(2), parameters={"p": em.UnitInterval(2)})
def two_coins(x, z, theta):
    return jnp.log(0.5) + binom.logpmf(x["heads"], x["of"], theta.p[z])


result = em.fit(two_coins, tosses, parameters={"p": [0.6, 0.5]}, tol=0)
