"""How many groups of eruptions: BIC against the number of components, for three shapes of covariance."""

import sys
from pathlib import Path
from types import SimpleNamespace

from matplotlib.figure import Figure

import latentem as em

x = em.datasets.load_faithful().values
table = []
for shape in ("full", "tied", "diag"):
    for k in range(1, 5):
        fit = em.GaussianMixture(k, covariance_type=shape, n_init=2, max_iter=5000, tol=1e-5, random_state=0).fit(x)
        table.append(SimpleNamespace(label=shape, n_components=k, bic=fit.bic(x), converged=fit.converged_))
best = min(table, key=lambda candidate: candidate.bic)
print(f"smallest BIC {best.bic:.1f}: {best.n_components} components, {best.label}")

figure = Figure(figsize=(6, 4.2), layout="constrained")
ax = em.plots.draw_bic(table, figure.subplots())
ax.set_title("272 eruptions of Old Faithful")
figure.savefig(Path(*sys.argv[1:2]) / "how_many_components.png", dpi=80)
