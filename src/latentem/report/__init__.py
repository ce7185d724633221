"""The report of a fit: one page of HTML that needs nothing else."""

from .writing import write_report

__all__ = ["write_report"]
