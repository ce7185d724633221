"""A mixture of two normals: p(x, z) = w_z N(x; m_z, s_z²).

How long 272 eruptions of Old Faithful lasted, in minutes (Härdle 1991, Table 3).
"""

import jax.numpy as jnp
from jax.scipy.stats import norm

import latentem as em

minutes = em.datasets.load_faithful().column("eruptions")


@em.latent_variable_model(
    latent=em.Categorical(2),
    parameters={"weights": em.Simplex(2), "means": em.Real(2), "scales": em.Positive(2)},
)
def two_normals(x, z, theta):
    return jnp.log(theta.weights[z]) + norm.logpdf(x, theta.means[z], theta.scales[z])


result = em.fit(two_normals, minutes, random_state=0)
