"""A fifth of all entries missing: the mixture is fitted as if nothing were."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import latentem as em

x = em.datasets.load_faithful().values
gaps = np.where(np.random.default_rng(0).random(x.shape) < 0.2, np.nan, x)
options = {"max_iter": 1000, "tol": 1e-6, "order": "mean", "random_state": 0}
figure = Figure(figsize=(9, 4), layout="constrained")
tables = {"all entries": x, "a fifth missing": gaps}
for ax, (name, table) in zip(figure.subplots(1, 2, sharey=True), tables.items(), strict=True):
    mixture = em.GaussianMixture(2, **options).fit(table)
    print(f"{name:16} means {mixture.means_.round(2).tolist()}")
    em.plots.draw_mixture(mixture, table, ax, names=["eruption (min)", "wait (min)"]).set_title(name)
figure.savefig(Path(*sys.argv[1:2]) / "holes.png", dpi=58)
