"""Fifteen rows of junk among 272 eruptions: what they do to normal components, and to Student's t."""

import sys
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import latentem as em

warnings.simplefilter("ignore", em.FindingWarning)
eruptions = em.datasets.load_faithful().values
junk = np.random.default_rng(0).uniform([0, 0], [10, 200], (15, 2))
x = np.vstack([eruptions, junk])
options = {"max_iter": 2000, "order": "mean", "random_state": 0}
fits = {
    "normal components": em.GaussianMixture(2, **options).fit(x),
    "Student's t": em.StudentTMixture(2, dof="tied", **options).fit(x),
}

figure = Figure(figsize=(9, 4), layout="constrained")
for ax, (name, fit) in zip(figure.subplots(1, 2, sharey=True), fits.items(), strict=True):
    print(f"{name:18} means {fit.means_.round(1).tolist()}")
    em.plots.draw_mixture(fit, x, ax, names=["eruption (min)", "wait (min)"]).set_title(name)
    ax.set(xlim=(0, 10), ylim=(0, 200))
figure.savefig(Path(*sys.argv[1:2]) / "outliers.png", dpi=65)
