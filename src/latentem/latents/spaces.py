"""What a latent variable of a declared model may be: values to enumerate, or a range to integrate over."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ParameterError


@dataclass(frozen=True)
class Integers:
    """z is a whole number from `low` to `high`, both included."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if not (_is_whole(self.low) and _is_whole(self.high) and self.low <= self.high):
            raise ParameterError(f"Integers needs whole numbers with low <= high, got {self.low!r} and {self.high!r}")

    @property
    def values(self) -> range:
        """The values of z."""
        return range(self.low, self.high + 1)


@dataclass(frozen=True)
class Bernoulli:
    """z is 0 or 1."""

    @property
    def values(self) -> range:
        """The values of z."""
        return range(2)


@dataclass(frozen=True)
class Continuous:
    """z is a real number between `low` and `high`, each of which may be infinite."""

    low: float = float("-inf")
    high: float = float("inf")

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ParameterError(f"Continuous needs low < high, got {self.low!r} and {self.high!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
