"""Declarations in files and on their way to other processes: what stands in for the user's functions."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...errors import ModelFileError
from ...latents import Normal
from .parameters import Domains
from .space import Space

if TYPE_CHECKING:
    from .declaration import Declaration


@dataclass(frozen=True)
class Outline:
    """What a model file says of a declaration: all but its functions.

    Attributes
    ----------
    name : str
    latent : str
        What z is, as the user would write it.
    domains : tuple of (name, Domain)
    group : str or None
    sources : tuple of (role, str or None)
        SHA-256 of the source of each function, None where it has no source that can be read.
    """

    name: str
    latent: str
    domains: Domains
    group: str | None
    sources: tuple[tuple[str, str | None], ...]

    @classmethod
    def of(cls, declaration: Declaration) -> Outline:
        """The outline of a declaration."""
        sources = tuple((role, source_hash(function)) for role, function in functions_of(declaration).items())
        return cls(declaration.name, spelled(declaration.space), declaration.domains, declaration.group, sources)

    def found_in(self, model: Any) -> tuple[Declaration, str | None]:
        """The declaration of `model`, which must have this outline; and that sources have changed, in words, if so.

        Raises
        ------
        ModelFileError
            There is no model, or it is another one; the message says in what they differ.
        """
        if model is None:
            raise ModelFileError(
                f"it is of the declared model {self.name!r}, whose densities are code, which a model file never holds: "
                f"give that model, as in load(…, model={self.name if self.name.isidentifier() else '…'})"
            )
        if not hasattr(model, "declaration"):
            raise ModelFileError(f"model= must be the declared model {self.name!r}, got a {type(model).__name__}")
        declaration: Declaration = model.declaration
        given = Outline.of(declaration)
        if differences := self._differences(given):
            raise ModelFileError(f"it is of another model than the one given: {'; '.join(differences)}")
        changed = self._changed(given)
        if not changed:
            return declaration, None
        return declaration, (
            f"the source of {', '.join(changed)} of the model {self.name!r} is no longer the one that the file was "
            "written with; its parameters may mean something else now"
        )

    def _differences(self, given: Outline) -> list[str]:
        """In what another outline differs, in words."""
        found = []
        if self.name != given.name:
            found.append(f"its name is {self.name!r}, not {given.name!r} (if it is that, declare it so by name=)")
        if self.latent != given.latent:
            found.append(f"its latent is {self.latent}, not {given.latent}")
        for name in dict.fromkeys([*dict(self.domains), *dict(given.domains)]):
            mine, theirs = dict(self.domains).get(name), dict(given.domains).get(name)
            if mine != theirs:
                found.append(f"the parameter {name!r} is {_shown(mine)}, not {_shown(theirs)}")
        if not found and self.domains != given.domains:
            found.append(f"its parameters come in the order {', '.join(dict(self.domains))}")
        if _densities(self) != _densities(given):
            found.append(f"it is declared by {', '.join(_densities(self))}, not by {', '.join(_densities(given))}")
        if self.group != given.group:
            found.append(f"its groups are in the column {self.group!r}, not {given.group!r}")
        return found

    def _changed(self, given: Outline) -> list[str]:
        """Functions whose sources are known to differ; one that was added or left out has changed too."""
        mine, theirs = dict(self.sources), dict(given.sources)
        return [
            role
            for role in dict.fromkeys([*mine, *theirs])
            if (role in mine) != (role in theirs) or (mine[role] and theirs[role] and mine[role] != theirs[role])
        ]


def functions_of(declaration: Declaration) -> dict[str, Callable[..., Any]]:
    """Every function that the user gave, by its role."""
    others = {"log_prior": declaration.log_prior, "sampler": declaration.sampler}
    return {**declaration.densities, **{role: function for role, function in others.items() if function is not None}}


def source_hash(function: Callable[..., Any]) -> str | None:
    """SHA-256 of a function's source, wherever it stands; None where there is none to read."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return None
    lines = textwrap.dedent(source).strip().splitlines()
    return sha256("\n".join(line.rstrip() for line in lines).encode()).hexdigest()


def spelled(space: Space) -> str:
    """What z is, as the user would write it."""
    parts = [(name, _spelled(part)) for name, part in space.parts]
    if space.kind == "single":
        return parts[0][1]
    if space.kind == "record":
        return f"{{{', '.join(f'{name!r}: {part}' for name, part in parts)}}}"
    return f"({', '.join(part for _, part in parts)}{',' if len(parts) == 1 else ''})"


def _spelled(part: Any) -> str:
    if isinstance(part, Normal):
        return repr(part)
    values = [(getattr(part, item.name), item.default) for item in fields(part)]
    while values and values[-1][0] == values[-1][1]:
        values.pop()
    return f"{type(part).__name__}({', '.join(repr(value) for value, _ in values)})"


def _shown(domain: Any) -> str:
    return "absent" if domain is None else repr(domain)


def _densities(outline: Outline) -> list[str]:
    return sorted(role for role, _ in outline.sources if role not in ("log_prior", "sampler"))


# -- pickling ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FunctionOfModel:
    """A function that a decorator has put inside a model: its module knows it by the model's name only.

    `pickle` finds functions by their names, where it now finds the model; this stands in for the function.
    """

    module: str
    name: str
    role: str

    def find(self) -> Any:
        """The function."""
        return functions_of(_named(import_module(self.module), self.name).declaration)[self.role]


def by_name(state: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration's attributes with decorated functions by the names of their models."""
    return _with_functions(state, _stand_in)


def from_names(state: Mapping[str, Any]) -> dict[str, Any]:
    """A declaration's attributes with those functions found again."""
    return _with_functions(state, lambda value: value.find() if isinstance(value, FunctionOfModel) else value)


def _with_functions(state: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    densities = {role: change(function) for role, function in state["densities"].items()}
    others = {role: change(state[role]) for role in ("log_prior", "sampler")}
    return {**state, "densities": densities, **others}


def _stand_in(function: Any) -> Any:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    found = _named(sys.modules.get(str(module)), name)
    declaration = getattr(found, "declaration", None)
    if found is function or declaration is None:
        return function
    roles = [role for role, own in functions_of(declaration).items() if own is function]
    return FunctionOfModel(str(module), name, roles[0]) if roles else function


def _named(module: Any, name: str) -> Any:
    """What a module calls so, or None: names of local functions lead nowhere."""
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
