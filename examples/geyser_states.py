"""Short and long waits of a geyser as the states of a Markov chain, and what comes next."""

import sys
from pathlib import Path

from matplotlib.figure import Figure

import latentem as em

waiting = em.datasets.load_faithful().select(["waiting"])
model = em.GaussianHMM(2, n_iter=2000, tol=1e-6, covars_prior=0, random_state=0).fit(waiting)
print("transitions", model.transmat_.round(2).tolist())
print("the next wait is expected to be", model.forecast(waiting, 1).mean[0, 0, 0].round(1), "minutes")

figure = Figure(figsize=(9, 3.4), layout="constrained")
em.plots.draw_sequence(
    waiting.values[:80],
    model.predict(waiting)[:80],
    figure.subplots(),
    probabilities=model.predict_proba(waiting)[:80],
    means=model.means_,
    name="waiting (min)",
)
figure.savefig(Path(*sys.argv[1:2]) / "geyser_states.png", dpi=80)
