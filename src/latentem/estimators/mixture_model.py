"""The general mixture: any family, or a list of different ones."""

from __future__ import annotations

from typing import Any

from ..data import Source
from ..errors import ParameterError
from ..families.components import Components
from ..model import Family
from .base import Mixture
from .options import COMMON, COMMON_DOC, constructor
from .partial import adds
from .registry import ENTRIES, entry_of, family_named


class MixtureModel(Mixture):
    """A mixture of components from any family of rows.

    Parameters
    ----------
    family : str, Family, or list of those
        "gamma" and the like, a family with its options, or one family for each component.
    n_components : int, optional
        Number of components K; None is the length of the list, or 1 for a single family."""

    _parameter_constraints: dict[str, Any] = {
        **Mixture._parameter_constraints,
        "n_components": [*Mixture._parameter_constraints["n_components"], None],
        "family": [str, Family, list, tuple],
        "parameters_init": [dict, None],
    }
    __init__ = constructor({"family": "gaussian", "n_components": None}, COMMON)
    family: Any
    __doc__ = (__doc__ or "") + COMMON_DOC

    @property
    def _n_states(self) -> int:
        several = isinstance(self.family, (list, tuple))
        if self.n_components is None:
            return len(self.family) if several else 1
        if several and len(self.family) != self.n_components:
            raise ParameterError(
                f"n_components={self.n_components}, but the list has {len(self.family)} families; leave n_components "
                "out"
            )
        return int(self.n_components)

    def _family(self, source: Source) -> Family[Any, Any]:
        if isinstance(self.family, (list, tuple)):
            return Components(tuple(resolved(family) for family in self.family))
        return resolved(self.family)

    def _adds(self) -> bool:
        several = self.family if isinstance(self.family, (list, tuple)) else [self.family]
        return adds(lambda: [resolved(family) for family in several])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        families = self.family if isinstance(self.family, (list, tuple)) else [self.family]
        entries = [entry_of(family) for family in families]
        tags.input_tags.positive_only = any(entry is not None and not entry.negative for entry in entries)
        tags.input_tags.categorical = tags.input_tags.sparse = all(
            entry is not None and entry.counts for entry in entries
        )
        return tags


def resolved(family: Any) -> Family[Any, Any]:
    """A family of rows, given by its name or as itself."""
    if isinstance(family, Family):
        if family.per_group:
            raise ParameterError(f"{type(family).__name__} is a family of groups of rows; mixtures here are of rows")
        return family
    if isinstance(family, str):
        return family_named(family)
    raise ParameterError(f"a family is a name or a Family, got {family!r}; names are {', '.join(sorted(ENTRIES))}")
