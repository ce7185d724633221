"""Accelerations of EM: vectors in, vectors out; none knows a model."""

from .squarem import Squarem

__all__ = ["Squarem"]
