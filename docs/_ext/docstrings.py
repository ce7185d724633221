"""Docstrings for Sphinx: they are plain text with names in backticks, and no reStructuredText."""

from __future__ import annotations

import re
from typing import Any

# Names in backticks, which stay as they are, or a character that reStructuredText would take for markup.
MARKUP = re.compile(r"(`[^`\n]+`)|([|*]|(?<=\w)_(?!\w))")


def as_plain_text(*given: Any) -> None:
    """Escape, in place, what would be markup outside of backticks, and make names in backticks code."""
    lines = given[-1]
    lines[:] = [MARKUP.sub(_escaped, line) for line in lines]


def _escaped(match: re.Match[str]) -> str:
    return f"`{match[1]}`" if match[1] else f"\\{match[2]}"


def without_requests(*given: Any) -> bool | None:
    """Leave out what scikit-learn generates, `set_fit_request` and its like; None leaves others as they are."""
    return True if re.fullmatch(r"[gs]et_(metadata_routing|\w+_request)", given[2]) else None


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", as_plain_text, priority=600)
    app.connect("autodoc-skip-member", without_requests)
    return {"parallel_read_safe": True}
