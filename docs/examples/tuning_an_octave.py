"""How does a musician tune an octave to a tone whose overtones are out of tune: by the overtone, or by memory?

z = 0 aims at the stretched overtone, z = 1 at twice the tone, z = 2 slips and lands anywhere from 1 to 4 times it.
The lines are those of the two theories and have nothing to estimate (Cohen 1980); tones were recorded to 0.001.
"""

import jax.numpy as jnp
from jax.scipy.stats import norm

import latentem as em


@em.latent_variable_model(
    latent=em.Categorical(3),
    parameters={"shares": em.Simplex(3), "scales": em.Interval(0.001, jnp.inf, 2)},
)
def octaves(x, z, theta):
    aims = norm.logpdf(x["tuned"], jnp.array([x["stretch"], 2.0]), theta.scales)
    return jnp.log(theta.shares[z]) + jnp.append(aims, -jnp.log(3.0))[z]


result = em.fit(octaves, em.datasets.load_tone_perception(), random_state=0)
