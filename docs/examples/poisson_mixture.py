"""A mixture of two Poisson distributions: p(x, z) = w_z Poisson(x; r_z).

Death notices of women of 80 years and over in The Times of London: on 162 days none, on 267 days one, …
(Hasselblad 1969).
"""

import jax.numpy as jnp
from jax.scipy.stats import poisson

import latentem as em

deaths, days = em.datasets.load_london_times().values.T


@em.latent_variable_model(latent=em.Categorical(2), parameters={"weights": em.Simplex(2), "rates": em.Positive(2)})
def two_poissons(x, z, theta):
    return jnp.log(theta.weights[z]) + poisson.logpmf(x, theta.rates[z])


start = {"weights": [0.5, 0.5], "rates": [1.0, 3.0]}
result = em.fit(two_poissons, deaths, sample_weight=days, parameters=start, acceleration="squarem", tol=1e-12)
