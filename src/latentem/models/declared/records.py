"""θ and z as the user's function sees them: arrays by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


class Record:
    """Values by name, as attributes and as items."""

    __slots__ = ("_kind", "_values")

    def __init__(self, values: Mapping[str, Any], kind: str) -> None:
        self._values, self._kind = dict(values), kind

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(self._values)
            raise AttributeError(f"{self._kind} has no {name!r}; it has {known}") from None

    def parts(self) -> tuple[tuple[Any, ...], tuple[str, tuple[str, ...]]]:
        """The values, and what they are called."""
        return tuple(self._values.values()), (self._kind, tuple(self._values))

    @classmethod
    def whole(cls, names: tuple[str, tuple[str, ...]], values: Iterable[Any]) -> Record:
        """The record of these `parts`."""
        kind, keys = names
        return cls(dict(zip(keys, values, strict=True)), kind)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{self._kind}({inside})"
