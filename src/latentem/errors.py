"""What latentem raises: always one of these, and always with the place and the remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence


class LatentemError(ValueError):
    """Base of every error that latentem raises on purpose."""


class DataError(LatentemError):
    """The data cannot be what the model says they are; the message names row and column."""


class ParameterError(LatentemError):
    """An argument or a parameter lies outside its domain."""


class ModelFileError(LatentemError):
    """A model file is cut off, of another version, or was altered."""


class ModelSourceWarning(UserWarning):
    """A declared model is loaded whose functions no longer have the source that the file was written with."""


def name_columns(message: str, names: Sequence[object]) -> str:
    """A message with the names of columns in place of their numbers.

    Families know columns by number and write "column 3" or "columns 0, 1"; whoever knows what these are called says so.
    """

    def called(number: str) -> str:
        return repr(names[int(number)]) if int(number) < len(names) else number

    def named(found: re.Match[str]) -> str:
        return found[1] + ", ".join(called(number) for number in found[2].split(", "))

    return re.sub(r"\b(columns? )(\d+(?:, \d+)*)\b", named, message)
