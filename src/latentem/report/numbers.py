"""Numbers as the page has them: few digits, no NaN, safe inside HTML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import floor, isfinite, log10
from typing import Any

import numpy as np

from .._typing import FloatArray

# What HTML and JavaScript would read as more than text, inside a string of JSON.
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# Tables and readouts need all digits of these numbers, curves not.
EXACT = 15


def embedded(data: Any) -> str:
    """JSON that may stand in a script element: no tag can begin or end in it.

    Raises
    ------
    ValueError
        A number is not finite: say None for what is not known.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    for sign, escaped in _UNSAFE.items():
        text = text.replace(sign, escaped)
    return text


def number(value: Any, digits: int = EXACT) -> float | None:
    """A float with so many significant digits, or None where it is not finite."""
    found = float(value)
    if not isfinite(found):
        return None
    return float(f"{found:.{digits}g}") if found else 0.0


def curve(values: Iterable[Any], digits: int = 4) -> list[float | int | None]:
    """Numbers of a curve: so many digits of the largest, but small ones keep three of their own."""
    array = np.array([np.nan if value is None else float(value) for value in values])
    finite = array[np.isfinite(array)]
    largest = float(np.abs(finite).max(initial=0.0))
    if largest == 0.0:
        return [0 if isfinite(value) else None for value in array]
    places = digits - 1 - floor(log10(largest))
    return [_short(float(value), places) for value in array]


def _short(value: float, places: int) -> float | int | None:
    if not isfinite(value):
        return None
    if value == 0.0:
        return 0
    own = 2 - floor(log10(abs(value)))
    rounded = float(f"{value:.{max(1, 3 + min(places - own, 4))}g}") if own < places else float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 1e15 else rounded


def said(value: float, digits: int = 4) -> str:
    """A number for people, with a true minus: 0.0123, −1130.26, 3.1 × 10⁻⁹."""
    if not isfinite(value):
        return "–"
    if value == 0.0:
        return "0"
    exponent = floor(log10(abs(value)))
    if -4 <= exponent < 7:
        text = f"{value:,.{max(0, digits - 1 - exponent)}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    else:
        mantissa = f"{value / 10.0**exponent:.{min(digits, 3) - 1}f}"
        text = f"{mantissa} × 10{raised(exponent)}"
    return text.replace("-", "−")


def raised(exponent: int) -> str:
    """A whole number as a superscript."""
    return "".join("⁻" if sign == "-" else "⁰¹²³⁴⁵⁶⁷⁸⁹"[int(sign)] for sign in str(exponent))


def percent(share: float, digits: int = 3) -> str:
    """A share in percent, with so many digits."""
    return f"{100 * share:.{digits}g} %" if isfinite(share) else "–"


def times(count: int, thing: str, several: str | None = None) -> str:
    """1 step, 2 steps, 12,000 steps."""
    return f"{count:,} {thing if count == 1 else several or thing + 's'}"


def finite(values: FloatArray) -> list[float | None]:
    """Numbers with all their digits; None where there is none."""
    return [number(value) for value in np.ravel(values)]
