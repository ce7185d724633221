"""What a fit is worth: certificates, information, standard errors."""

from .certificate import Certificate, Verdict
from .certifying import certify

__all__ = ["Certificate", "Verdict", "certify"]
