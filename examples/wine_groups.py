"""Three grapes found in the chemistry of 178 wines, without being told of them."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_wine

import latentem as em

NAMES = ("flavanoids", "proline")

bunch = load_wine()
x = bunch.data[:, [bunch.feature_names.index(name) for name in NAMES]]
x[:, 1] /= 1000  # g/l, as flavanoids
mixture = em.GaussianMixture(3, n_init=5, max_iter=2000, tol=1e-6, order="weight", random_state=0).fit(x)
table = [[int(np.sum((mixture.predict(x) == k) & (bunch.target == g))) for g in range(3)] for k in range(3)]
print("components by grapes:", table)
print(mixture.result_.status.value)

figure = Figure(figsize=(6, 4.2), layout="constrained")
ax = em.plots.draw_mixture(mixture, x, figure.subplots(), names=["flavanoids (g/l)", "proline (g/l)"])
ax.set_title("178 wines, three components")
figure.savefig(Path(*sys.argv[1:2]) / "wine_groups.png", dpi=75)
