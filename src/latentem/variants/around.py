"""Latents around a latent: all is as it is there, but the posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch
from ..densities import Form
from ..errors import ParameterError
from ..model import Latent, Posterior


@dataclass(frozen=True)
class Around(Latent[Any, Any]):
    """A latent with states whose posterior is another: M-step, Q, samples and checks are those of `latent`."""

    latent: Latent[Any, Any]

    def __post_init__(self) -> None:
        if self.latent.form is not Form.TABLE:
            raise ParameterError(f"{type(self.latent).__name__} has no states; this E-step is for latents with states")

    @property
    def n_states(self) -> int:  # type: ignore[override]
        return self.latent.n_states

    @property
    def size(self) -> int:
        return self.latent.size

    @property
    def form(self) -> Form:
        return self.latent.form

    @property
    def per_group(self) -> bool:
        return self.latent.per_group

    @property
    def additive(self) -> bool:
        return self.latent.additive

    def start(self) -> Any:
        return self.latent.start()

    def conform(self, params: Any) -> Any:
        return self.latent.conform(params)

    def statistics(self, posterior: Posterior, batch: Batch) -> Any:
        return self.latent.statistics(posterior, batch)

    def maximize(self, statistics: Any, params: Any) -> Any:
        return self.latent.maximize(statistics, params)

    def expected_log_density(self, statistics: Any, params: Any) -> float:
        return self.latent.expected_log_density(statistics, params)

    def score(self, statistics: Any, params: Any) -> FloatArray:
        return self.latent.score(statistics, params)

    def pseudo_statistics(self, concentration: float) -> Any:
        return self.latent.pseudo_statistics(concentration)

    def sample(self, params: Any, lengths: Array, rng: np.random.Generator) -> Array:
        return self.latent.sample(params, lengths, rng)

    def sample_given(self, params: Any, given: Batch, rng: np.random.Generator) -> Array:
        return self.latent.sample_given(params, given, rng)

    def check(self, batch: Batch) -> None:
        self.latent.check(batch)

    def findings(self, statistics: Any, params: Any) -> list[tuple[int, str]]:
        return self.latent.findings(statistics, params)

    def certain(self, states: Array, batch: Batch, params: Any) -> tuple[Posterior, FloatArray]:
        """The posterior that knows the states (-1: no state is possible), and log p(z; θ) of each unit or group."""
        with np.errstate(divide="ignore", invalid="ignore"):
            known = np.where(states == np.arange(self.n_states)[:, None], 0.0, -np.inf)
            return self.latent.posterior(known, batch, params)


@dataclass(frozen=True)
class Tempered(Around):
    """q(z) ∝ p(z | x; θ)^β, and F_β = 1/β log Σ_z p(x, z; θ)^β in the place of the log-likelihood.

    F_β(θ) = max_q { E_q[log p(x, z; θ)] + H(q) / β }, the tempered free energy (Ueda and Nakano 1998).  EM
    with this E-step ascends it, for the reason for which EM ascends log p(x; θ) = F₁(θ).

    Attributes
    ----------
    beta : float
        Inverse temperature, above 0.
    """

    beta: float

    def posterior(self, log_density: FloatArray, batch: Batch, params: Any) -> tuple[Posterior, FloatArray]:
        posterior, total = self.latent.tempered(log_density, batch, params, self.beta)
        return posterior, total / self.beta


@dataclass(frozen=True)
class Decoded(Around):
    """q is certain of the most probable z, and log max_z p(x, z; θ) is in the place of the log-likelihood.

    Celeux and Govaert (1992): the classification log-likelihood is a function of θ and the states, of which this E-step
    is the maximum over the states, and the M-step that over θ.
    """

    def posterior(self, log_density: FloatArray, batch: Batch, params: Any) -> tuple[Posterior, FloatArray]:
        states, best = self.latent.decode(log_density, batch, params)
        return self.certain(states, batch, params)[0], best


@dataclass(frozen=True)
class Drawn(Around):
    """q is certain of a draw from p(z | x; θ); the log-likelihood is that of the model.

    Draws belong to the seed, the iteration and the first row of a batch, hence are the same for all executors.

    Attributes
    ----------
    seed, iteration : int
    """

    seed: int
    iteration: int

    def posterior(self, log_density: FloatArray, batch: Batch, params: Any) -> tuple[Posterior, FloatArray]:
        rng = np.random.default_rng((self.seed, self.iteration, batch.first_row))
        states = self.latent.draw(log_density.copy(), batch, params, rng)
        total = self.latent.posterior(log_density, batch, params)[1]
        return self.certain(states, batch, params)[0], total
