"""What latentem raises: always one of these, and always with the place and the remedy."""

from __future__ import annotations


class LatentemError(ValueError):
    """Base of every error that latentem raises on purpose."""


class DataError(LatentemError):
    """The data cannot be what the model says they are; the message names row and column."""


class ParameterError(LatentemError):
    """An argument or a parameter lies outside its domain."""


class ModelFileError(LatentemError):
    """A model file is cut off, of another version, or was altered."""
