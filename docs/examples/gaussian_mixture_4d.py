"""A mixture of three normals in four dimensions: p(x, z) = w_z N(x; m_z, V_z) with any covariances V_z.

Sepals and petals of 150 irises (Fisher 1936); the start is one flower of each species.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import multivariate_normal
from sklearn.datasets import load_iris

import latentem as em

flowers = load_iris().data


@em.latent_variable_model(
    latent=em.Categorical(3),
    parameters={"weights": em.Simplex(3), "means": em.Real(3, 4), "covariances": em.PositiveDefinite(3, 4, 4)},
)
def three_normals(x, z, theta):
    return jnp.log(theta.weights[z]) + multivariate_normal.logpdf(x, theta.means[z], theta.covariances[z])


start = {"weights": np.full(3, 1 / 3), "means": flowers[[0, 50, 100]], "covariances": [np.eye(4)] * 3}
result = em.fit(three_normals, flowers, parameters=start)
