"""Mixtures of a family that is known by its name: one class a family, options of the family as constructor options."""

from __future__ import annotations

from typing import Any

from ..data import Source
from ..model import Family
from .base import Mixture
from .options import COMMON, COMMON_DOC, constructor
from .partial import adds
from .registry import ENTRIES, family_named


class FamilyMixture(Mixture):
    """What the named mixtures share; a subclass names its family, its options, and its defaults of the common ones."""

    _parameter_constraints: dict[str, Any] = {**Mixture._parameter_constraints, "parameters_init": [dict, None]}
    _name: str
    _options: dict[str, Any] = {}
    _defaults: dict[str, Any] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        declares = {"_name", "_options", "_defaults"} & set(vars(cls))
        if not declares or "__init__" in vars(cls):
            return
        cls.__init__ = constructor({"n_components": 1}, {**cls._options, **COMMON, **cls._defaults})  # type: ignore[method-assign]
        cls.__doc__ = (vars(cls).get("__doc__") or "").rstrip() + COMMON_DOC

    def __init__(self, n_components: int = 1, **options: Any) -> None:
        raise TypeError("take one of the named mixtures, or MixtureModel")

    def _family(self, source: Source) -> Family[Any, Any]:
        return family_named(self._name)

    def _adds(self) -> bool:
        return adds(lambda: [family_named(self._name)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        entry = ENTRIES[self._name]
        tags.input_tags.positive_only = not entry.negative
        # The nearest that scikit-learn's tags come to "whole numbers only".
        tags.input_tags.categorical = entry.counts
        return tags
