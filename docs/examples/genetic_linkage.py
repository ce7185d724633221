"""Genetic linkage: four kinds of animals with probabilities 1/2 + t/4, (1 - t)/4, (1 - t)/4 and t/4.

The first kind is two in one, of probabilities 1/2 and t/4; z says which (Dempster, Laird and Rubin 1977, section 1).
"""

import jax.numpy as jnp

import latentem as em

animals = [125, 18, 20, 34]


@em.latent_variable_model(latent=em.Bernoulli(), parameters={"t": em.UnitInterval()})
def linkage(x, z, theta):
    t = theta.t
    kinds = jnp.array([[1 / 2, t / 4], [(1 - t) / 4, 0], [(1 - t) / 4, 0], [t / 4, 0]])
    return jnp.log(kinds[x, z])


result = em.fit(linkage, [0, 1, 2, 3], sample_weight=animals, parameters={"t": 0.5}, acceleration="squarem", tol=0)
