"""ABO blood groups: everybody has two genes, one from each parent, each A, B or O with probabilities p.

The blood group shows them but in part: A is AA, AO or OA.  521 patients with ulcers (Clarke et al. 1959).
"""

import jax.numpy as jnp
import numpy as np

import latentem as em

A, B, AB, O = range(4)  # noqa: E741 - the name of the blood group
GROUP = np.array([[A, AB, A], [AB, B, B], [A, B, O]])


@em.latent_variable_model(
    latent={"mother": em.Categorical(3), "father": em.Categorical(3)}, parameters={"p": em.Simplex(3)}
)
def blood_groups(x, z, theta):
    genes = jnp.log(theta.p[z.mother]) + jnp.log(theta.p[z.father])
    return jnp.where(jnp.asarray(GROUP)[z.mother, z.father] == x, genes, -jnp.inf)


people = [186, 38, 13, 284]
result = em.fit(blood_groups, [A, B, AB, O], sample_weight=people, parameters={"p": [0.3, 0.2, 0.5]}, tol=0)
