"""The space that z lives in: its discrete part as a table of states, its continuous part as coordinates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from typing import Any

import numpy as np

from ..._typing import Array, FloatArray
from ...errors import ParameterError
from ...latents import Bernoulli, Categorical, Continuous, Integers, MarkovChain, Normal
from .records import Record

MOST_STATES = 100_000


@dataclass(frozen=True)
class Space:
    """What z may be.

    Attributes
    ----------
    parts : tuple of (name or None, latent)
        In the order in which the user gave them.
    kind : {"single", "record", "tuple"}
        Whether z is the one part itself, or has its parts by name or by position.
    """

    parts: tuple[tuple[str | None, Any], ...]
    kind: str

    @classmethod
    def of(cls, latent: Any) -> Space:
        """The space of one latent, of a mapping of names to latents, or of a tuple of latents."""
        if isinstance(latent, Mapping):
            space = cls(tuple(latent.items()), "record")
        elif isinstance(latent, tuple | list):
            space = cls(tuple((None, part) for part in latent), "tuple")
        else:
            space = cls(((None, latent),), "single")
        space._check()
        return space

    @property
    def is_chain(self) -> bool:
        return any(isinstance(part, MarkovChain) for _, part in self.parts)

    @cached_property
    def states(self) -> Array:
        """(K, m) int: every combination of the m discrete parts; one empty row where there is none."""
        combinations = list(product(*(_values(part) for part in self.discrete)))
        return np.array(combinations, np.int64).reshape(len(combinations), self.n_discrete)

    @property
    def discrete(self) -> list[Any]:
        return [part for _, part in self.parts if not is_continuous(part)]

    @property
    def continuous(self) -> list[Any]:
        return [part for _, part in self.parts if is_continuous(part)]

    @property
    def n_discrete(self) -> int:
        return len(self.discrete)

    @property
    def n_states(self) -> int:
        return len(self.states)

    @property
    def dimension(self) -> int:
        """Continuous coordinates."""
        return sum(_size(part) for part in self.continuous)

    @property
    def slices(self) -> list[slice]:
        """The coordinates of each continuous part."""
        ends = np.cumsum([0, *(_size(part) for part in self.continuous)]).tolist()
        return [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def bounds(self) -> tuple[FloatArray, FloatArray] | None:
        """Lower and upper ends of the continuous coordinates, (d,) each; None where all of them are Normal."""
        if all(isinstance(part, Normal) for part in self.continuous):
            return None
        ends = [
            (-np.inf, np.inf) if isinstance(part, Normal) else (part.low, part.high)
            for part in self.continuous
            for _ in range(_size(part))
        ]
        return np.array([low for low, _ in ends]), np.array([high for _, high in ends])

    def value(self, state: Any, u: Any) -> Any:
        """z from a row of `states` and its continuous coordinates (d,); in NumPy or JAX."""
        values, i, j = [], 0, 0
        for _, part in self.parts:
            if not is_continuous(part):
                values.append(state[i])
                i += 1
                continue
            size = _size(part)
            values.append(u[j : j + size] if isinstance(part, Normal) and part.shape else u[j])
            j += size
        if self.kind == "single":
            return values[0]
        if self.kind == "tuple":
            return tuple(values)
        return Record({str(name): value for (name, _), value in zip(self.parts, values, strict=True)}, "z")

    def describe(self, k: int) -> str:
        """State k in words: z = 2, or z = (class=1, count=0)."""
        names = [name for name, part in self.parts if not is_continuous(part)]
        values = [int(value) for value in self.states[k]]
        if self.kind == "single":
            return f"z = {values[0]}" if values else "z"
        shown = (str(v) if name is None else f"{name}={v}" for name, v in zip(names, values, strict=True))
        return f"z = ({', '.join(shown)})"

    def _check(self) -> None:
        if not self.parts:
            raise ParameterError("latent must say what z is, e.g. em.Categorical(2); got nothing")
        for name, part in self.parts:
            if not isinstance(part, Categorical | Bernoulli | Integers | MarkovChain | Normal | Continuous):
                raise ParameterError(
                    f"latent{'' if name is None else f'[{name!r}]'} must be one of Categorical(K), Bernoulli(), "
                    f"Integers(a, b), MarkovChain(K), Normal(d), Continuous(a, b), or several of them in a mapping or "
                    f"tuple; got {part!r}"
                )
        if self.is_chain and len(self.parts) > 1:
            raise ParameterError("a MarkovChain stands alone; give it as many states as the combinations that you need")
        if (n := int(np.prod([len(_values(part)) for part in self.discrete], dtype=float))) > MOST_STATES:
            raise ParameterError(f"z has {n} combinations, which cannot be enumerated (at most {MOST_STATES})")


def is_continuous(part: Any) -> bool:
    """Whether a part of z has coordinates, and not states."""
    return isinstance(part, Normal | Continuous)


def _values(part: Any) -> range:
    return range(part.n_states) if isinstance(part, Categorical | MarkovChain) else part.values


def _size(part: Any) -> int:
    return int(np.prod(part.shape, dtype=int)) if isinstance(part, Normal) else 1
