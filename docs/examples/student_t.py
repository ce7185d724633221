"""Student's t as a normal whose precision varies: x ~ N(location, scale² / z) with z ~ Gamma(df / 2, rate df / 2).

66 measures of the speed of light by Newcomb in 1882, two of them far off (Stigler 1977): nanoseconds beyond 24,800.
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import gamma, norm

import latentem as em

TEXT = """28 26 33 24 34 -44 27 16 40 -2 29 22 24 21 25 30 23 29 31 19 24 20 36 32 36 28 25 21 28 29 37 25 28
26 30 32 36 26 30 22 36 23 27 27 28 27 31 27 26 33 26 32 32 24 39 28 24 25 32 25 29 27 28 29 16 23"""
light = np.array(TEXT.split(), float)


@em.latent_variable_model(
    latent=em.Continuous(0, jnp.inf), parameters={"location": em.Real(), "scale": em.Positive(), "df": em.Positive()}
)
def student_t(x, z, theta):
    half = theta.df / 2
    return gamma.logpdf(z * half, half) + jnp.log(half) + norm.logpdf(x, theta.location, theta.scale / jnp.sqrt(z))


start = {"location": 26.0, "scale": 10.0, "df": 5.0}
result = em.fit(student_t, light, parameters=start, acceleration="squarem", tol=1e-10)
