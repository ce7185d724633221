"""The level of the Nile through a gap of 20 years that are held out, and 10 years ahead."""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import latentem as em

year, flow = em.datasets.load_nile().values.T
seen = flow.copy()
seen[(year >= 1911) & (year <= 1930)] = np.nan
model = em.LinearGaussianStateSpace.local_level(tol=1e-6, max_iter=5000).fit(seen)
print(model.result_.status.value)
print("log-likelihood", round(float(model.result_.log_likelihood), 2))

figure = Figure(figsize=(9, 3.6), layout="constrained")
ax = em.plots.draw_forecast(model, seen, 10, figure.subplots(), times=year)
ax.set(title="the Nile at Aswan, 1911-1930 left out", xlabel="year", ylabel="flow (10⁸ m³)")
figure.savefig(Path(*sys.argv[1:2]) / "nile_level.png", dpi=80)
