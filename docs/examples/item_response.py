"""Two-parameter logistic item response: ability z ~ N(0, 1), logit p(right answer to item j) = easiness_j + slope_j z.

1,000 people, five questions of the Law School Admission Test (Bock and Lieberman 1970; Bock and Aitkin 1981).
"""

import numpy as np
from jax.nn import log_sigmoid
from jax.scipy.stats import norm

import latentem as em

patterns = em.datasets.load_lsat6().values
answers, people = patterns[:, :5], patterns[:, 5]


@em.latent_variable_model(latent=em.Normal(), parameters={"easiness": em.Real(5), "slope": em.Real(5)})
def two_parameter_logistic(x, z, theta):
    logit = theta.easiness + theta.slope * z
    return norm.logpdf(z) + log_sigmoid((2 * x - 1) * logit).sum()


start = {"easiness": np.zeros(5), "slope": np.ones(5)}
result = em.fit(
    two_parameter_logistic, answers, sample_weight=people, parameters=start, acceleration="squarem", tol=1e-8
)
