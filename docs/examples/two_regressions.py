"""A mixture of two straight lines: p(tuned, z | stretch) = w_z N(tuned; a_z + b_z stretch, s_z²).

A musician tunes an octave: sometimes to twice the tone, sometimes to its stretched overtone (Cohen 1980;
De Veaux 1989).
"""

import jax.numpy as jnp
from jax.scipy.stats import norm

import latentem as em


@em.latent_variable_model(
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "a": em.Real(2), "b": em.Real(2), "scales": em.Positive(2)},
)
def two_lines(x, z, theta):
    line = theta.a[z] + theta.b[z] * x["stretch"]
    return jnp.log(theta.weights[z]) + norm.logpdf(x["tuned"], line, theta.scales[z])


start = {"weights": [0.5, 0.5], "a": [0.0, 2.0], "b": [1.0, 0.0], "scales": [0.1, 0.1]}
result = em.fit(two_lines, em.datasets.load_tone_perception(), parameters=start, tol=1e-10)
