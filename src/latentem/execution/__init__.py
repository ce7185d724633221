"""Executors: fold a function over the chunks of a source.  One engine a file."""

from .processes import Processes
from .serial import Serial
from .threads import Threads

__all__ = ["Processes", "Serial", "Threads"]
