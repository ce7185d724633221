"""Thirteen measurements of wines by three factors, rotated to simple structure."""

import sys
from pathlib import Path

from matplotlib.figure import Figure
from sklearn.datasets import load_wine

import latentem as em

bunch = load_wine()
factors = em.FactorAnalysis(3, rotation="varimax").fit(bunch.data)
print(factors.result_.status.value)
print("uniquenesses", factors.uniquenesses_.round(2))

figure = Figure(figsize=(5.5, 5), layout="constrained")
ax = em.plots.draw_loadings(factors, bunch.feature_names, figure.subplots())
ax.set_title("178 wines, varimax")
figure.savefig(Path(*sys.argv[1:2]) / "wine_factors.png", dpi=80)
