"""EM, its accelerations and direct methods from the same starts, on days of death notices."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import latentem as em

deaths, days = em.datasets.load_london_times().values.T
model = em.LatentVariableModel(em.Categorical(2), em.families.Poisson())
methods = ("em", "auto", "squarem", "l-bfgs")
found = em.compare(model, deaths[:, None], sample_weight=days, methods=methods, n_starts=2, random_state=0)
print(found)

figure = Figure(figsize=(6.5, 4.2), layout="constrained")
em.plots.draw_comparison(found, figure.subplots()).set_title("two Poisson components")
figure.savefig(Path(*sys.argv[1:2]) / "which_method.png", dpi=80)
