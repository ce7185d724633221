"""What a fit is worth: certificates, the map of maxima, standard errors, and what other methods would have done."""

from .certificate import Certificate, Verdict
from .certifying import certify
from .comparing import Comparison, Run
from .estimating import standard_errors
from .functions import Derived
from .maxima import MapOfMaxima, Maximum
from .standard_errors import StandardErrors

__all__ = [
    "Certificate",
    "Comparison",
    "Derived",
    "MapOfMaxima",
    "Maximum",
    "Run",
    "StandardErrors",
    "Verdict",
    "certify",
    "standard_errors",
]
