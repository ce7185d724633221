"""Probabilistic principal components: x = m + W z + noise, with z two independent standard normals.

Four measures of 150 irises (Fisher 1936); Tipping and Bishop (1999).
"""

import numpy as np
from jax.scipy.stats import norm
from sklearn.datasets import load_iris

import latentem as em

flowers = load_iris().data


@em.latent_variable_model(
    latent=em.Normal(2), parameters={"m": em.Real(4), "W": em.Real(4, 2), "noise": em.Positive()}
)
def components(x, z, theta):
    return norm.logpdf(z).sum() + norm.logpdf(x, theta.m + theta.W @ z, theta.noise).sum()


start = {"m": flowers.mean(axis=0), "W": np.eye(4, 2), "noise": 1.0}
result = em.fit(components, flowers, parameters=start, acceleration="squarem", tol=1e-9)
