"""Classification EM."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..result import EMResult, Finding
from .around import Decoded
from .base import EStep, Task, was_stopped

TOLD = (
    "the objective is the classification log-likelihood, log p(x, z) at the most probable states, and the parameters "
    "maximize that: where components overlap they are not those of the maximum likelihood; then_em=True goes on to it"
)


@dataclass(frozen=True)
class Classification(EStep):
    """Classification EM: the E-step takes the most probable states for certain (Celeux and Govaert 1992).

    It ascends C(θ) = Σ log max_z p(x, z; θ), which never falls, and ends after finitely many steps where no state
    changes any more: k-means, where covariances are equal and spherical and weights are held.  In a chain the states
    are the most probable path (Viterbi training).  C is not the likelihood: its maximizer is biased where components
    overlap, and the result says so by a finding.

    Attributes
    ----------
    then_em : bool
        Whether plain EM goes on from there, to a maximum of the likelihood.

    Raises
    ------
    ParameterError
        A latent without states.

    Notes
    -----
    Of a result without `then_em` the objective and the history are C (and the log prior), the log-likelihood is that
    of the model, and the status is about C.
    """

    then_em: bool = False

    def fit(self, task: Task) -> EMResult:
        """EM with states for certain; then plain EM, if that is wanted."""
        until_nothing_changes = replace(task, tol=0.0)
        hard = until_nothing_changes.climb(task.with_latent(Decoded(task.model.latent)), task.start, task.max_iter)
        if self.then_em and not was_stopped(hard.status):
            return task.finish(hard.parameters, hard.n_iter, "classification EM")
        found = task.ended(hard.parameters, hard.n_iter, "classification EM", hard.status)
        findings = (*hard.findings, Finding("classification", TOLD))
        return replace(found, objective=hard.objective, remaining_gain=hard.remaining_gain, history=hard.history,
                       findings=findings)
