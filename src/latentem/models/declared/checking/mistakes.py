"""What an error inside the user's function means, in the user's terms."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax

from ....errors import DataError, LatentemError, ParameterError
from ..compiled import Compiled
from .tracing import Density, trace
from .wording import arguments, described_row, function_of, named

# The order matters: the first that fits tells the most.
SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (
        jax.errors.TracerBoolConversionError,
        (
            "it asks whether an array is true (by if, and, or, not, while, min() or max()), but values are not "
            "known while the function is compiled: use jnp.where(condition, a, b), jnp.minimum, jnp.maximum, "
            "and &, |, ~ for conditions"
        ),
    ),
    (
        jax.errors.TracerArrayConversionError,
        (
            "it gives a value that is not known while the function is compiled to a function of NumPy or SciPy: "
            "use the one of the same name from jax.numpy or jax.scipy"
        ),
    ),
    (
        jax.errors.TracerIntegerConversionError,
        (
            "it uses a value that is not known while the function is compiled as an index into a list, in "
            "range(), or in a shape: make the list an array, jnp.asarray(values)[z]"
        ),
    ),
    (
        jax.errors.NonConcreteBooleanIndexError,
        (
            "it picks entries of an array by a condition, and their number is not known while the function is "
            "compiled: use jnp.where(condition, values, 0.0)"
        ),
    ),
    (
        jax.errors.ConcretizationTypeError,
        (
            "it needs a value that is not known while the function is compiled, as float(), int() and shapes "
            "do: leave float() and int() out, or use .astype(float)"
        ),
    ),
)


@lru_cache(64)
def densities_of(functions: Compiled) -> tuple[Density, ...]:
    """The user's densities, the prior among them, as operations."""
    declaration = functions.declaration
    roles = [*declaration.densities, *([] if declaration.log_prior is None else ["log_prior"])]
    found = []
    for role in roles:
        try:
            found.append(trace(functions, role))
        except Exception as error:
            raise explained(functions, role, error) from error
    return tuple(found)


def explained(functions: Compiled, role: str, error: Exception) -> LatentemError:
    """The error that the user should see for one that their function raised."""
    function = function_of(functions, role)
    sentence = next((text for kind, text in SENTENCES if isinstance(error, kind)), None) or _in_words(functions, error)
    kind = DataError if isinstance(error, KeyError) else ParameterError
    return kind(f"{named(functions, role)} fails{_place(function, error)}: {sentence}.  {arguments(functions, role)}")


def _in_words(functions: Compiled, error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0].rstrip(".")
    pieces = functions.layout.pieces
    if isinstance(error, KeyError):
        return f"x has no column {error.args[0]!r}; it is {described_row(functions)}"
    if isinstance(error, AttributeError) and "'dict' object" in text:
        return f"{text}: the columns of x are taken by x[{pieces[0].name!r}]"
    if isinstance(error, AttributeError) and text.startswith(("theta has", "z has")):
        return text
    if "string indexing" in text and pieces[0].name is None:
        return f"it takes a column of x by its name, but x is {described_row(functions)}: give em.fit a dict or a frame"
    return f"{type(error).__name__}: {text}"


def _place(function: Callable[..., Any], error: Exception) -> str:
    """Where in the user's function."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    if not own:
        return ""
    line = f" ({own[-1].line})" if own[-1].line else ""
    return f" in line {own[-1].lineno}{line}"
