"""From what was measured to one page: styles and scripts inside, nothing fetched, nothing trusted."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from .numbers import embedded

STYLES = ("page.css", "pictures.css")
# In this order.
PICTURES = ("pictures.js", "picture-plane.js", "picture-columns.js", "picture-series.js", "picture-tables.js")
SCRIPTS = ("chart.js", "explorer.js", "contours.js", "ascent.js", "limit.js", "methods.js", *PICTURES, "page.js")


def render(content: dict[str, Any], data: dict[str, Any]) -> str:
    """The page.

    Every text of `content` is escaped where it is put in; `data` goes into an element that no text can leave.  The
    page's own policy lets the browser run the one script and use the one style sheet whose hashes it names.
    """
    style, script = (Markup(_joined(names)) for names in (STYLES, SCRIPTS))
    environment = Environment(
        loader=PackageLoader("latentem.report", "page"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    policy = (
        f"default-src 'none'; script-src '{fingerprint(script)}'; style-src '{fingerprint(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html").render(
        **content, style=style, script=script, policy=policy, data=Markup(embedded(data))
    )


def fingerprint(text: str) -> str:
    """The hash by which a content security policy knows a script or a style sheet."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _joined(names: tuple[str, ...]) -> str:
    page = files("latentem.report") / "page"
    return "".join((page / name).read_text(encoding="utf-8") for name in names)
