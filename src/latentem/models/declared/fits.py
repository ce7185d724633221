"""The fits of a declared model from several starts: checks and sufficient statistics, EM by legs, a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np

from ...data import Batch, Source
from ...em import Executor
from ...errors import ParameterError
from ...result import EMResult, Status
from . import preparing
from .m_steps.sufficient import Basis, NoBasis
from .model import DeclaredModel
from .parameters import DeclaredParameters


class Climb(Protocol):
    """From a start to its limit, or for some passes."""

    @property
    def source(self) -> Source: ...

    @property
    def executor(self) -> Executor: ...

    @property
    def max_iter(self) -> int: ...

    def __call__(self, model: Any, start: Any, checkpoint: Any = None) -> EMResult: ...

    def no_longer(self, passes: int | None) -> Climb: ...

    def further(self, result: EMResult, passes: int | None) -> EMResult: ...

    def simulate(self, model: DeclaredModel, start: Any, rng: np.random.Generator) -> EMResult: ...


@dataclass
class DeclaredFits:
    """One start after the other of a declared model.

    What is found of the data, the sufficient statistics, is looked for at the first start and serves the others; a fit
    that pauses goes on with the model as it was prepared.  Only what has ended is diagnosed.

    Attributes
    ----------
    model : DeclaredModel
    given : mapping, DeclaredParameters, or None
        Values to start from, or the start itself.
    rng : Generator
    climb : Climb
    keeper : Checkpoint or None
    """

    model: DeclaredModel
    given: Any
    rng: np.random.Generator
    climb: Climb
    keeper: Any
    _pool: Batch | None = field(default=None, repr=False)
    _basis: Basis | NoBasis | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.keeper is not None and not self.may_pause:
            raise ParameterError("a fit by stochastic approximation cannot go on from a checkpoint")

    @property
    def may_pause(self) -> bool:
        """Whether a fit that was interrupted after some passes goes on as if it had not been."""
        return bool(self.model.declaration.e_step != "saem")

    @property
    def pool(self) -> Batch:
        if self._pool is None:
            self._pool = preparing.pool_of(self.climb.source)
        return self._pool

    def begin(self, passes: int | None) -> EMResult:
        """From a new start, for so many passes; to its end where that is None."""
        start = self._start()
        ready = partial(self._prepared, start, int(self.rng.integers(2**62)))
        if not self.may_pause:
            result = self.climb.simulate(ready(), start, self.rng)
            return preparing.diagnosed(result, self.climb.source, start, self.pool)
        model = ready() if self.keeper is None else self.keeper.prepared(self.model, self.climb.source.layout, ready)
        return self._ended(self.climb.no_longer(passes)(model, start, self.keeper))

    def further(self, result: EMResult, passes: int | None) -> EMResult:
        """From where a start has come, for so many passes or to its end."""
        return result if self._has_ended(result) else self._ended(self.climb.further(result, passes))

    def _start(self) -> DeclaredParameters:
        if self.given is not None and not isinstance(self.given, Mapping):
            found: DeclaredParameters = self.given
            return found
        return preparing.start(self.model, self.climb.source, self.given or {}, self.rng, self.climb.executor)

    def _prepared(self, start: DeclaredParameters, seed: int) -> DeclaredModel:
        model = preparing.prepare(self.model, self.climb.source, start, seed, self.pool, self._basis)
        self._basis = model.basis
        return model

    def _has_ended(self, result: EMResult) -> bool:
        return result.status is not Status.MAX_ITER or result.n_iter >= self.climb.max_iter

    def _ended(self, result: EMResult) -> EMResult:
        """The result, with an E-step that is fine enough and a diagnosis where it has ended."""
        if not self._has_ended(result):
            return result
        fine = preparing.until_fine(partial(self.climb, checkpoint=self.keeper), result, self.pool)
        return preparing.diagnosed(fine, self.climb.source, result.start, self.pool)
