"""What a fit is worth: certificates, information, standard errors."""

from .certificate import Certificate, Verdict
from .certifying import certify
from .estimating import standard_errors
from .functions import Derived
from .standard_errors import StandardErrors

__all__ = ["Certificate", "Derived", "StandardErrors", "Verdict", "certify", "standard_errors"]
