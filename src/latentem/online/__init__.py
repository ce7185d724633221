"""EM that does not wait for all of the data, or of the posterior.

`incremental` keeps statistics for each part of the data and renews one at a time; `stepwise` lets them fade,
S ← (1 - γ) S + γ s, on a stream of batches that is never held.  The rest is stochastic approximation:
the E-step is simulated, and its statistics are averaged over the iterations:

    sₜ  simulated statistics at θₜ₋₁,     Sₜ = Sₜ₋₁ + γₜ (sₜ - Sₜ₋₁),     θₜ = argmax_θ Q(θ; Sₜ)

with γ = 1 until θ has stopped drifting, and γₜ = (1 + t/40τ)^-α, ½ < α ≤ 1, with t counted from there (Delyon, Lavielle
and Moulines 1999).  τ is the time scale on which θ forgets while γ = 1; with γ it is τ/γ.  Weights that fall sooner
stop θ on the way where EM is slow, and make it forget so slowly that the scatter of its path no longer tells the error
of its mean: with (1 + t/τ)^-⅔ that came out 3 to 5 times too small.  What is returned is the mean of the θₜ since the
burn-in (Polyak and Juditsky 1992).  Nothing here is monotone.

Its loop names no model and no sampler; it knows what it asks of them.
"""

from .additive import Unexpanded, additive
from .incremental import Incremental, incremental
from .loop import run_stochastic_approximation, stochastic_approximation, stochastic_finding
from .parts import Parts, in_parts
from .path import Path, Schedule, time_scale
from .simulator import PerUnit, Simulation, Simulator
from .stepwise import OnlineState, StepSize, stepped

__all__ = [
    "Incremental",
    "OnlineState",
    "Parts",
    "Path",
    "PerUnit",
    "Schedule",
    "Simulation",
    "Simulator",
    "StepSize",
    "Unexpanded",
    "additive",
    "in_parts",
    "incremental",
    "run_stochastic_approximation",
    "stepped",
    "stochastic_approximation",
    "stochastic_finding",
    "time_scale",
]
