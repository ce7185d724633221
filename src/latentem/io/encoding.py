"""Values as JSON and arrays, and back: only what a list of known classes allows, never code.

A frozen dataclass becomes its class's name in this list and its fields; so nothing here knows any family or model.
What holds functions of the user's (it has a method `outline`) becomes its outline, a record that finds the same again
in the model that `decode` is given.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

import numpy as np

from .._typing import Array
from ..errors import ModelFileError, ModelSourceWarning
from .known import (
    PACKAGE as PACKAGE,
    fields_of,
    full_name,
    is_row_type,
    library_classes,
    library_modules as library_modules,
    row_type,
)

Arrays = dict[str, Array]
KINDS = "fiub"
LARGEST_ITEM = 8
BIT_GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
DEEPEST = 60


def encode(value: Any, types: Iterable[type] = ()) -> tuple[Any, Arrays]:
    """JSON that describes `value`, and the arrays that it refers to by name.

    Parameters
    ----------
    value : None, bool, int, float, str, NumPy number or array, list, tuple, dict, enum, dataclass, estimator, …
    types : classes
        Classes beyond the library's own.

    Raises
    ------
    ModelFileError
        Something in it is none of these, e.g. a function; the message says where.
    """
    encoder = Encoder(tuple(types))
    return encoder.encode(value, "the model"), encoder.arrays


def decode(description: Any, arrays: Arrays, types: Iterable[type] = (), model: Any = None) -> Any:
    """The value that `encode` described.

    Raises
    ------
    ModelFileError
        The description is none that `encode` writes, or names a class that is not known; or it is of a model with
        functions of the user's, and `model` is not that, or is given though there are none.

    Warns
    -----
    ModelSourceWarning
        The source of such a function has changed.
    """
    decoder = Decoder(tuple(types), arrays, model)
    value = decoder.decode(description)
    for notice in dict.fromkeys(decoder.notices):
        warnings.warn(notice, ModelSourceWarning, stacklevel=4)
    if model is not None and not decoder.found:
        raise ModelFileError("it holds no model that is declared by functions: load it without model=")
    return value


class Encoder:
    """Collects arrays on its way through a value."""

    def __init__(self, types: tuple[type, ...]) -> None:
        self.types = types
        self.arrays: Arrays = {}

    def encode(self, value: Any, place: str) -> Any:
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if isinstance(value, list):
            return [self.encode(item, f"{place}[{i}]") for i, item in enumerate(value)]
        for kind, accepts, write in self._kinds():
            if accepts(value):
                return {kind: write(value, place)}
        raise ModelFileError(
            f"{place} is a {type(value).__module__}.{type(value).__qualname__}, which a model file cannot hold "
            "(it holds numbers, text, arrays and this library's own classes, never code)"
        )

    def _kinds(self) -> Iterator[tuple[str, Any, Any]]:
        yield "number", lambda v: isinstance(v, np.generic) and _is_plain(v.dtype), self._scalar
        yield "float", lambda v: isinstance(v, float), lambda v, place: v if isfinite(v) else repr(v)
        yield "dtype", lambda v: isinstance(v, type) and issubclass(v, np.generic), lambda v, place: np.dtype(v).str
        yield "array", lambda v: isinstance(v, np.ndarray) and _is_plain(v.dtype), self._array
        yield "texts", _is_text_array, lambda v, place: {"dtype": v.dtype.str, "values": v.tolist()}
        yield "row_type", is_row_type, lambda v, place: {"name": v.__name__, "fields": list(v._fields)}
        yield "tuple", lambda v: isinstance(v, tuple), self._items
        yield "dict", lambda v: isinstance(v, dict), self._pairs
        yield "enum", lambda v: isinstance(v, Enum) and self._name(v) is not None, self._enum
        yield "outline", lambda v: hasattr(type(v), "outline"), lambda v, place: self.encode(v.outline(), place)
        yield "object", lambda v: is_dataclass(v) and self._name(v) is not None, self._object
        yield "estimator", lambda v: hasattr(v, "get_params") and self._name(v) is not None, self._estimator
        yield "generator", lambda v: isinstance(v, np.random.Generator | np.random.RandomState), self._generator

    def _name(self, value: Any) -> str | None:
        cls = type(value)
        if cls in self.types:
            return full_name(cls)
        module, _, name = full_name(cls).removeprefix(f"{PACKAGE}.").rpartition(".")
        return f"{module}.{name}" if library_classes(module).get(name) is cls else None

    def _scalar(self, value: Any, place: str) -> dict[str, Any]:
        return {"dtype": value.dtype.str, "value": self.encode(value.item(), place)}

    def _array(self, value: Array, place: str) -> dict[str, Any]:
        name = next((known for known, array in self.arrays.items() if array is value), f"arrays/{len(self.arrays)}.npy")
        self.arrays[name] = value
        return {"entry": name, "dtype": value.dtype.str, "shape": list(value.shape), "what": place}

    def _items(self, value: tuple[Any, ...], place: str) -> list[Any]:
        return [self.encode(item, f"{place}[{i}]") for i, item in enumerate(value)]

    def _pairs(self, value: dict[Any, Any], place: str) -> list[Any]:
        return [
            [self.encode(key, f"a key of {place}"), self.encode(item, f"{place}[{key!r}]")]
            for key, item in value.items()
        ]

    def _enum(self, value: Enum, place: str) -> dict[str, Any]:
        return {"class": self._name(value), "name": value.name}

    def _object(self, value: Any, place: str) -> dict[str, Any]:
        stored = [item.name for item in fields(value) if item.init and item.metadata.get("stored", True)]
        return {
            "class": self._name(value),
            "fields": {name: self.encode(getattr(value, name), f"{place}.{name}") for name in stored},
        }

    def _estimator(self, value: Any, place: str) -> dict[str, Any]:
        params = value.get_params(deep=False)
        fitted = {name: item for name, item in vars(value).items() if _is_fitted_name(name, params)}
        return {
            "class": self._name(value),
            "parameters": {name: self.encode(item, f"{place}.{name}") for name, item in params.items()},
            "fitted": {name: self.encode(item, f"{place}.{name}") for name, item in fitted.items()},
        }

    def _generator(self, value: Any, place: str) -> dict[str, Any]:
        legacy = isinstance(value, np.random.RandomState)
        state = value.get_state(legacy=False) if legacy else value.bit_generator.state
        return {"legacy": legacy, "state": self.encode(state, place)}


class Decoder:
    """Builds a value from a description; every surprise is a `ModelFileError`."""

    def __init__(self, types: tuple[type, ...], arrays: Arrays, model: Any = None) -> None:
        self.types = types
        self.arrays = arrays
        self.model = model
        self.found = False
        self.notices: list[str] = []
        self.depth = 0

    def decode(self, node: Any) -> Any:
        if node is None or isinstance(node, bool | int | str):
            return node
        self.depth += 1
        try:
            if self.depth > DEEPEST:
                raise ModelFileError("the description is nested too deeply")
            if isinstance(node, list):
                return [self.decode(item) for item in node]
            return self._build(node)
        except ModelFileError:
            raise
        except Exception as error:
            raise ModelFileError(f"the description cannot be understood: {type(error).__name__}: {error}") from error
        finally:
            self.depth -= 1

    def _build(self, node: Any) -> Any:
        if not isinstance(node, dict) or len(node) != 1:
            raise ModelFileError(f"expected one kind of value, got {str(node)[:80]}")
        (kind, content), *_ = node.items()
        build = getattr(self, f"_{kind}", None) if kind in KNOWN_KINDS else None
        if build is None:
            raise ModelFileError(f"unknown kind of value {kind!r}")
        return build(content)

    def _float(self, content: Any) -> float:
        if not isinstance(content, float) and content not in ("nan", "inf", "-inf"):
            raise ModelFileError(f"expected a number, got {content!r}")
        return float(content)

    def _number(self, content: Any) -> Any:
        dtype = np.dtype(content["dtype"])
        if not _is_plain(dtype):
            raise ModelFileError(f"{dtype} is no type of numbers")
        return dtype.type(self.decode(content["value"]))

    def _dtype(self, content: Any) -> type:
        dtype = np.dtype(content)
        if not _is_plain(dtype):
            raise ModelFileError(f"{dtype} is no type of numbers")
        return dtype.type

    def _array(self, content: Any) -> Array:
        return self.arrays[content["entry"]]

    def _texts(self, content: Any) -> Array:
        dtype = np.dtype(content["dtype"])
        if dtype.kind not in "OU" or not all(isinstance(text, str) for text in content["values"]):
            raise ModelFileError("expected a list of text")
        return np.array(content["values"], dtype=dtype)

    def _row_type(self, content: Any) -> type:
        """The user's named tuple where it is among the types, else one with the same fields."""
        name, names = str(content["name"]), tuple(map(str, content["fields"]))
        own = [cls for cls in self.types if is_row_type(cls) and (cls.__name__, fields_of(cls)) == (name, names)]
        return own[0] if own else row_type(name, names)

    def _outline(self, content: Any) -> Any:
        outline = self.decode(content)
        if not hasattr(outline, "found_in"):
            raise ModelFileError("expected the outline of a declared model")
        found, notice = outline.found_in(self.model)
        self.found = True
        self.notices += [notice] if notice else []
        return found

    def _tuple(self, content: Any) -> tuple[Any, ...]:
        return tuple([self.decode(item) for item in content])

    def _dict(self, content: Any) -> dict[Any, Any]:
        return {self.decode(key): self.decode(item) for key, item in content}

    def _enum(self, content: Any) -> Any:
        cls = self._known(content["class"])
        if not issubclass(cls, Enum):
            raise ModelFileError(f"{content['class']} is no enum")
        return cls[content["name"]]

    def _object(self, content: Any) -> Any:
        cls = self._known(content["class"])
        if not is_dataclass(cls):
            raise ModelFileError(f"{content['class']} is no record")
        return cls(**{name: self.decode(item) for name, item in content["fields"].items()})

    def _estimator(self, content: Any) -> Any:
        cls: Any = self._known(content["class"])
        if not hasattr(cls, "get_params"):
            raise ModelFileError(f"{content['class']} is no estimator")
        estimator = cls(**{name: self.decode(item) for name, item in content["parameters"].items()})
        for name, item in content["fitted"].items():
            if not _is_fitted_name(name) or callable(getattr(cls, name, None)):
                raise ModelFileError(f"{name!r} is no attribute that a fit sets")
            setattr(estimator, name, self.decode(item))
        return estimator

    def _generator(self, content: Any) -> Any:
        state = self.decode(content["state"])
        if state["bit_generator"] not in BIT_GENERATORS:
            raise ModelFileError(f"unknown random generator {state['bit_generator']!r}")
        if content["legacy"]:
            legacy = np.random.RandomState()
            legacy.set_state(state)
            return legacy
        bits = getattr(np.random, state["bit_generator"])()
        bits.state = state
        return np.random.Generator(bits)

    def _known(self, name: Any) -> type:
        own = {full_name(cls): cls for cls in self.types}
        module, _, last = str(name).rpartition(".")
        found = own.get(name) or library_classes(module).get(last)
        if found is None:
            raise ModelFileError(
                f"the class {name!r} is not known here: the file was altered, was written by a newer version, or holds "
                "a class of your own, which must then be given by types=(…)"
            )
        return found


KNOWN_KINDS = frozenset(
    (
        "number",
        "float",
        "dtype",
        "array",
        "texts",
        "row_type",
        "tuple",
        "dict",
        "enum",
        "outline",
        "object",
        "estimator",
        "generator",
    )
)


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether it is a type of numbers that every platform has."""
    return dtype.kind in KINDS and dtype.itemsize <= LARGEST_ITEM


def _is_text_array(value: Any) -> bool:
    if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in "OU":
        return False
    return all(isinstance(item, str) for item in value)


def _is_fitted_name(name: str, params: Iterable[str] = ()) -> bool:
    """Names as a fit gives them: `means_`, `_model`; not scikit-learn's own (`_sklearn…`), which may hold callbacks."""
    private = name.startswith("_") and not name.startswith(("__", "_sk", "_callback", "_metadata"))
    return name.isidentifier() and name not in params and (private or (name.endswith("_") and name[0] != "_"))
