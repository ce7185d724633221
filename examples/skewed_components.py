"""A family for each component: short eruptions are log-normal, long ones Weibull."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import latentem as em

minutes = em.datasets.load_faithful().values[:, :1]
fits = {
    "two normals": em.GaussianMixture(2, max_iter=1000, tol=1e-8, order="mean", random_state=0),
    "log-normal and Weibull": em.MixtureModel(["log-normal", "weibull"], max_iter=1000, tol=1e-8, random_state=0),
}
figure = Figure(figsize=(9, 3.8), layout="constrained")
for ax, (name, mixture) in zip(figure.subplots(1, 2, sharey=True), fits.items(), strict=True):
    mixture.fit(minutes)
    print(f"{name:23} BIC {mixture.bic(minutes):.1f}")
    em.plots.draw_mixture(mixture, minutes, ax, names=["eruption (min)"])
    ax.set_title(f"{name}, BIC {mixture.bic(minutes):.0f}")
figure.savefig(Path(*sys.argv[1:2]) / "skewed_components.png", dpi=65)
