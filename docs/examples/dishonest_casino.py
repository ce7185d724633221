"""A hidden Markov model: a casino swaps a fair die for a loaded one now and then, and back.

300 rolls, simulated by Durbin, Eddy, Krogh and Mitchison (1998, section 3.2); the start is what they simulated with.
"""

import jax.numpy as jnp

import latentem as em


@em.latent_variable_model(
    latent=em.MarkovChain(2),
    parameters={"first": em.Simplex(2), "swap": em.Simplex(2, 2), "faces": em.Simplex(2, 6)},
    log_initial=lambda z, theta: jnp.log(theta.first[z]),
    log_transition=lambda before, z, theta: jnp.log(theta.swap[before, z]),
)
def casino(x, z, theta):
    return jnp.log(theta.faces[z, x["roll"] - 1])


start = {"first": [0.5, 0.5], "swap": [[0.95, 0.05], [0.1, 0.9]], "faces": [[1 / 6] * 6, [0.1] * 5 + [0.5]]}
result = em.fit(casino, em.datasets.load_casino(), parameters=start, tol=1e-9)
