"""A random intercept: reaction = a + b days + z + noise, with z ~ N(0, between²) shared by the rows of a subject.

18 subjects with little sleep on ten days (Belenky et al. 2003).  Subjects may have any number of rows: the second fit
is without the last days of every other subject.
"""

from jax.scipy.stats import norm

import latentem as em


@em.latent_variable_model(
    latent=em.Normal(),
    parameters={"a": em.Real(), "b": em.Real(), "between": em.Positive(), "within": em.Positive()},
    log_latent=lambda z, theta: norm.logpdf(z, 0, theta.between),
    group="subject",
)
def sleep(x, z, theta):
    return norm.logpdf(x["reaction"], theta.a + theta.b * x["days"] + z, theta.within)


study, start = em.datasets.load_sleep_study(), {"a": 250.0, "b": 10.0, "between": 30.0, "within": 30.0}
result = em.fit(sleep, study, parameters=start, tol=1e-9)
kept = (study.column("days") < 6) | (study.column("subject") % 2 == 0)
ragged = em.fit(sleep, {name: study.column(name)[kept] for name in study.names}, parameters=start, tol=1e-9)
