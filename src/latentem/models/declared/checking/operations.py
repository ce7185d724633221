"""What JAX traces, as a plain list of operations with the calls inlined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jax.extend.core import Literal

# Operations that only call others, which are looked into; loops and branches are not.
CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "remat",
    "remat2",
    "checkpoint",
    "custom_jvp_call",
    "custom_vjp_call",
}


@dataclass(frozen=True)
class Known:
    """A constant operand."""

    value: Any


@dataclass(frozen=True)
class Step:
    """One operation: its operands (numbers of values, or constants) and the numbers of its results."""

    primitive: Any
    options: Mapping[str, Any]
    operands: tuple[int | Known, ...]
    results: tuple[int, ...]

    @property
    def looks_up(self) -> bool:
        """Whether it takes entries of an array, where ends that are out of range are not what was meant."""
        if self.primitive.name == "dynamic_slice":
            return True
        if self.primitive.name != "gather" or "CLIP" in str(self.options["mode"]):
            return False
        fill = self.options["fill_value"]
        return fill is None or bool(np.isnan(fill))

    @property
    def indices(self) -> tuple[int | Known, ...]:
        """The operands of a look-up that say where."""
        return self.operands[1:]


@dataclass
class Flattened:
    """Operations one after the other, calls inlined."""

    count: int
    steps: list[Step] = field(default_factory=list)
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def inline(self, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[int | Known]) -> list[int | Known]:
        known: dict[Any, int | Known] = dict(zip(jaxpr.invars, inputs, strict=True))
        known.update(zip(jaxpr.constvars, map(Known, constants), strict=True))

        def ref(atom: Any) -> int | Known:
            if not isinstance(atom, Literal):
                return known[atom]
            kind: Any = atom.aval
            return Known(np.asarray(atom.val, kind.dtype))

        for equation in jaxpr.eqns:
            operands = [ref(atom) for atom in equation.invars]
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            if equation.primitive.name in CALLS and inner is not None:
                body, own = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
                results = self.inline(body, own, operands)
            else:
                results = self._add(equation, operands)
            known.update(zip(equation.outvars, results, strict=True))
        return [ref(atom) for atom in jaxpr.outvars]

    def _add(self, equation: Any, operands: list[int | Known]) -> list[int | Known]:
        numbers = tuple(range(self.count, self.count + len(equation.outvars)))
        self.count += len(numbers)
        self.shapes.update({i: tuple(var.aval.shape) for i, var in zip(numbers, equation.outvars, strict=True)})
        self.steps.append(Step(equation.primitive, equation.params, tuple(operands), numbers))
        return list(numbers)


def value_of(ref: int | Known, values: Mapping[int, Any]) -> Any:
    return ref.value if isinstance(ref, Known) else values[ref]
