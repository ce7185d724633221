"""Other E-steps with which a fit may begin: `fit(model, data, e_step=…)`.

Each is a latent around the model's own whose posterior differs; M-step, loop and executors are those of plain EM.

    Annealing        q(z) ∝ p(z | x; θ)^β, β rising to 1, then EM          ascends F_β(θ) = Σ 1/β log Σ_z p(x, z; θ)^β
    Classification   q certain of argmax_z p(z | x; θ)                     ascends Σ log max_z p(x, z; θ)
    Stochastic       q certain of a draw from p(z | x; θ)                  ascends nothing; averages

`online.Incremental` is one more, for which the posterior is EM's, but found for a part of the data at a time.
"""

from .annealing import Annealing
from .around import Around, Decoded, Drawn, Tempered
from .base import EStep, Task
from .classification import Classification
from .stochastic import Stochastic

__all__ = [
    "Annealing",
    "Around",
    "Classification",
    "Decoded",
    "Drawn",
    "EStep",
    "Stochastic",
    "Task",
    "Tempered",
]
