"""What a fit is worth: certificates, the map of maxima, standard errors, and what other methods would have done.

Names are found when they are first used: a fit needs few of these modules.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .certificate import Certificate as Certificate, Verdict as Verdict
    from .certifying import certify as certify
    from .comparing import Comparison as Comparison, Run as Run
    from .errors_of_estimates import StandardErrors as StandardErrors
    from .estimating import standard_errors as standard_errors
    from .functions import Derived as Derived
    from .maxima import MapOfMaxima as MapOfMaxima, Maximum as Maximum

_HOME = {
    "Certificate": "certificate",
    "Comparison": "comparing",
    "Derived": "functions",
    "MapOfMaxima": "maxima",
    "Maximum": "maxima",
    "Run": "comparing",
    "StandardErrors": "errors_of_estimates",
    "Verdict": "certificate",
    "certify": "certifying",
    "standard_errors": "estimating",
}
__all__ = sorted(_HOME)  # noqa: PLE0605 - names that __getattr__ provides


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
