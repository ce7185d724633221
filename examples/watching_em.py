"""How EM climbs where much is missing, with and without an acceleration."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import latentem as em

deaths, days = em.datasets.load_london_times().values.T
model = em.LatentVariableModel(em.Categorical(2), em.families.Poisson())
figure = Figure(figsize=(9, 3.8), layout="constrained")
for ax, acceleration in zip(figure.subplots(1, 2, sharey=True), (None, "auto"), strict=True):
    options = {"sample_weight": days, "acceleration": acceleration, "tol": 1e-8, "max_iter": 5000, "random_state": 0}
    result = em.fit(model, deaths[:, None], **options)
    print(f"{result.n_iter} passes to {result.log_likelihood:.6f}; EM's rate {result.rate:.4f}")
    em.plots.draw_ascent(result, ax).set_title(f"{acceleration or 'plain EM'}: {result.n_iter} passes")
figure.savefig(Path(*sys.argv[1:2]) / "watching_em.png", dpi=80)
