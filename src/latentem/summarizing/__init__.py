"""What a fit found, on a page: in the terminal, in a notebook, as LaTeX."""

from .record import Summary
from .summarize import summary

__all__ = ["Summary", "summary"]
