"""Factor analysis: x = m + loadings · z + noise of another size in each column, with z one standard normal.

Six measures of 178 wines in standard units (Forina et al. 1991); Rubin and Thayer (1982).
"""

import numpy as np
from jax.scipy.stats import norm
from sklearn.datasets import load_wine

import latentem as em

wines = load_wine().data[:, [5, 6, 7, 8, 10, 11]]
wines = (wines - wines.mean(axis=0)) / wines.std(axis=0)


@em.latent_variable_model(
    latent=em.Normal(), parameters={"m": em.Real(6), "loadings": em.Real(6), "noise": em.Positive(6)}
)
def one_factor(x, z, theta):
    return norm.logpdf(z) + norm.logpdf(x, theta.m + theta.loadings * z, theta.noise).sum()


start = {"m": np.zeros(6), "loadings": np.ones(6), "noise": np.ones(6)}
result = em.fit(one_factor, wines, parameters=start, acceleration="squarem", tol=1e-9)
