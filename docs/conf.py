"""Sphinx configuration."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "_ext")]

project = "latentem"
author = "The latentem developers"
copyright = "2026, The latentem developers"  # noqa: A001 - Sphinx asks for this name
extensions = ["myst_parser", "mathml"]
html_math_renderer = "mathml"
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = "latentem"
nitpicky = True

# The reference: signatures and docstrings, whose types are words and no links.
extensions += ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_ivar = True
nitpick_ignore_regex = [("py:.*", ".*")]
suppress_warnings = ["ref.python"]


def setup(app):
    """Draw the figures of the theory before pages are read."""
    import figures

    app.connect("builder-inited", figures.draw_all)
