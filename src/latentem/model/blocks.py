"""Long groups, worked on block by block."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from .._typing import Array, FloatArray
from ..data import Batch, default_chunk_rows
from ..statistics import PairwiseSum
from .contracts import LongGroup, Posterior

if TYPE_CHECKING:
    from .joined import LatentVariableModel, ModelParameters

# From this many rows on a group is worked on block by block.
LONG = 16_384
# Of so many chunks a block is made: both ends take turns at the interpreter between blocks.
CHUNKS = 2


class Blocks:
    """A long group of a model, cut into blocks: their log densities, and the emission's statistics so far."""

    def __init__(self, model: LatentVariableModel, params: ModelParameters, batch: Batch, ignored: bool) -> None:
        self.model, self.params, self.batch, self.ignored = model, params, batch, ignored
        edges = (*range(0, len(batch), CHUNKS * default_chunk_rows(batch.n_columns)), len(batch))
        self.group = LongGroup(edges, self._log_density, self._visit)
        self.parts: dict[int, PairwiseSum[Any]] = {}

    def statistics(self) -> Any:
        """Those of all blocks, after the visits."""
        return reduce(add, (self.parts[part].total() for part in sorted(self.parts)))

    def _log_density(self, start: int, stop: int) -> FloatArray:
        if self.ignored:  # a group of weight 0 may be impossible
            return np.zeros((self.model.latent.n_states, stop - start))
        return self.model._state_densities(self.params, self.batch.rows_between(start, stop))

    def _visit(self, part: int, start: int, stop: int, probabilities: FloatArray) -> None:
        block = self.batch.rows_between(start, stop).without_labels()
        posterior = Posterior(probabilities, None if block.weights is None else block.unit_weights(False))
        statistics = self.model.family.statistics(block, posterior, self.params.emission)
        self.parts.setdefault(part, PairwiseSum()).push(statistics)


def runs(lengths: Array) -> list[tuple[int, int]]:
    """(first, last) of groups that are worked on together: a long one alone, the short ones between two such."""
    long = np.flatnonzero(lengths >= LONG).tolist()
    edges = sorted({0, len(lengths), *long, *(g + 1 for g in long)})
    return list(pairwise(edges))
