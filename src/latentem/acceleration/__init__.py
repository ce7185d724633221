"""Accelerations of EM: vectors in, vectors out; none knows a model."""

from .anderson import Anderson
from .squarem import Squarem

__all__ = ["Anderson", "Squarem"]
