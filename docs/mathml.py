"""Formulas as MathML, which browsers draw themselves: pages can be read without a network.

`$…$` and `$$…$$` are converted by latex2mathml when the documentation is built.  What it does not know is put in other
words (`BEFORE`), and where its spacing or its letters are not TeX's they are mended (`AFTER`).
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

# what latex2mathml does not know, in terms of what it knows
BEFORE = (
    (re.compile(r"\\mathrm\{(\w)\}"), r"\\text{\1}"),
    (re.compile(r"\\arg(?![a-z])"), r"\\text{arg}\\,"),
)
MINUS, INFINITY, SUCCEEDS, PARTIAL = "&#x02212;", "&#x0221E;", "&#x02AB0;", "&#x02202;"
SLASH, BAR, NORM, TILDE = "&#x0002F;", "&#x0007C;", "&#x02016;", "&#x0007E;"
THIN = '<mspace width="0.167em" />'
START = '(<mrow>|<mo(?: stretchy="false")?>(?:&#x0003D;|&#x0002C;|&#x02264;|&#x02265;|&#x00028;|&#x0005B;)</mo>)'
AFTER = (
    # a thin space after log and exp, but before a parenthesis; and before them after a letter, a number or a bracket
    (re.compile(r"(</mi>|</mn>|</msu[bp]>|</mfrac>|</mstyle>|&#x00029;</mo>)(<mi>(?:log|exp)</mi>)"), rf"\1{THIN}\2"),
    (re.compile(r"(<mi>(?:log|exp)</mi>)(?!<mo[^>]*>&#x00028;|</m)"), rf"\1{THIN}"),
    (re.compile(r">\\([{}])<"), r">\1<"),
    (re.compile(rf"<mi>(;|:|{SUCCEEDS})</mi>"), r"<mo>\1</mo>"),
    (re.compile(f"<mo>({INFINITY}|{PARTIAL})</mo>"), r"<mi>\1</mi>"),
    (re.compile(f"<mo>{SLASH}</mo>"), f'<mo lspace="0" rspace="0">{SLASH}</mo>'),
    (re.compile(f"<mo( stretchy=\"false\")?>{BAR}</mo>"), f'<mo stretchy="false" lspace="0" rspace="0">{BAR}</mo>'),
    (re.compile(f"<mo>{NORM}</mo>"), f'<mo stretchy="false">{NORM}</mo>'),
    (re.compile(f"<mi>{TILDE}</mi>"), "<mo>&#x0223C;</mo>"),
    # a sign is not a difference
    (re.compile(f"{START}<mo>{MINUS}</mo>"), rf'\1<mo form="prefix">{MINUS}</mo>'),
)


def mathml(formula: str, display: str) -> str:
    """The formula as a `<math>` element, "inline" or "block"."""
    for pattern, replacement in BEFORE:
        formula = pattern.sub(replacement, formula)
    found = convert(formula, display=display)
    for pattern, replacement in AFTER:
        found = pattern.sub(replacement, found)
    if "\\" in found:
        raise ValueError(f"latex2mathml does not know a command of the formula {formula!r}; write it otherwise")
    return found


def inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def display(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
