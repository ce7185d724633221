"""Probit regression: a grade improves where z > 0, z ~ N(b·v, 1) with v = (1, gpa, tuce, psi).

32 students of economics (Spector and Mazzeo 1980; Greene 2003, Table 21.1).
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

import latentem as em


@em.latent_variable_model(latent=em.Continuous(), parameters={"b": em.Real(4)})
def probit(x, z, theta):
    v = jnp.array([1, x["gpa"], x["tuce"], x["psi"]])
    return jnp.where((z > 0) == (x["grade"] == 1), norm.logpdf(z, theta.b @ v), -jnp.inf)


grades = em.datasets.load_spector_mazzeo()
result = em.fit(probit, grades, parameters={"b": np.zeros(4)}, acceleration="squarem", tol=1e-11)
