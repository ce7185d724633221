"""Numbers of a picture in few characters: rounded to what an eye can tell, long tables packed into strings."""

from __future__ import annotations

from math import floor, log10
from typing import Any

import numpy as np

from ..._typing import Array, FloatArray

# The figures of base 64 that need no escape in HTML or in JSON; "~" stands for what is missing.
FIGURES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MISSING = "~"
BASE = len(FIGURES)
_CODES = np.frombuffer(FIGURES.encode(), np.uint8)


def rounded(values: Any, digits: int = 4) -> Any:
    """Nested lists of numbers with so many digits of the range that they span; None where there is none."""
    array = np.asarray(values, float)
    finite = array[np.isfinite(array)]
    span = float(np.ptp(finite)) if len(finite) else 0.0
    size = span or float(np.abs(finite).max(initial=0.0)) or 1.0
    places = digits - floor(log10(size)) if span else digits - 1 - floor(log10(size))
    return _listed(array, places)


def _listed(array: FloatArray, places: int) -> Any:
    if array.ndim:
        return [_listed(part, places) for part in array]
    value = float(array)
    if not np.isfinite(value):
        return None
    value = round(value, places)
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def significant(values: Any, digits: int = 4) -> Any:
    """Nested lists of numbers with so many digits each; None where there is none."""
    array = np.asarray(values, float)
    if array.ndim:
        return [significant(part, digits) for part in array]
    return float(f"{float(array):.{digits}g}") if np.isfinite(array) else None


def packed(tables: FloatArray, low: float | None = None, high: float | None = None, figures: int = 2) -> dict[str, Any]:
    """A table of numbers for each step, (S, …), as a string each: whole numbers from 0 (`low`) to 64^figures - 1.

    Numbers beyond the ends count as these; NaN is missing.
    """
    finite = tables[np.isfinite(tables)]
    low = float(finite.min(initial=np.inf)) if low is None and len(finite) else low or 0.0
    high = float(finite.max(initial=-np.inf)) if high is None and len(finite) else high or 1.0
    top = BASE**figures - 1
    with np.errstate(invalid="ignore"):
        share = np.clip((tables - low) / ((high - low) or 1.0), 0.0, 1.0)
    codes = np.where(np.isfinite(share), np.rint(share * top), -1).astype(int)
    return _package(codes, low, high, figures)


def packed_shares(tables: FloatArray) -> dict[str, Any]:
    """Probabilities (S, K, n) that add to one over K, as sixty-thirds that do so as well: the largest rests go up."""
    top = BASE - 1
    exact = np.clip(tables, 0.0, 1.0) * top
    codes = np.floor(exact + 1e-9).astype(int)
    lacking = top - codes.sum(axis=1, keepdims=True)
    rank = np.argsort(np.argsort(codes - exact, axis=1, kind="stable"), axis=1)
    return _package(codes + (rank < lacking), 0.0, 1.0, 1)


def _package(codes: Array, low: float, high: float, figures: int) -> dict[str, Any]:
    return {
        "low": significant(low, 6),
        "high": significant(high, 6),
        "figures": figures,
        "shape": [int(n) for n in codes.shape[1:]],
        "steps": [_text(table.ravel(), figures) for table in codes],
    }


def _text(codes: Array, figures: int) -> str:
    powers = BASE ** np.arange(figures - 1, -1, -1)
    letters = _CODES[np.maximum(codes, 0)[:, None] // powers % BASE]
    letters = np.where(codes[:, None] < 0, np.uint8(ord(MISSING)), letters)
    return letters.astype(np.uint8).tobytes().decode()


def unpacked(package: dict[str, Any]) -> FloatArray:
    """The tables (S, …) that a package stands for."""
    top = BASE ** package["figures"] - 1
    codes = np.array([_numbers(text, package["figures"]) for text in package["steps"]])
    values = package["low"] + codes / top * (package["high"] - package["low"])
    return np.asarray(values.reshape(len(codes), *package["shape"]))


def _numbers(text: str, figures: int) -> FloatArray:
    parts = [text[i : i + figures] for i in range(0, len(text), figures)]
    return np.array([np.nan if MISSING in part else _number(part) for part in parts])


def _number(part: str) -> int:
    total = 0
    for letter in part:
        total = total * BASE + FIGURES.index(letter)
    return total
