"""Families by name, for `MixtureModel(family="gamma")` and the command line, and what kinds of data they take."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from importlib import import_module
from typing import Any

from ..errors import ParameterError
from ..model import Family


@dataclass(frozen=True)
class Entry:
    """Where a family lives and which data it takes.

    Attributes
    ----------
    place : str
        "module.Class" below `latentem.families`.
    negative : bool
        Whether negative numbers are in its support.
    counts : bool
        Whether it takes whole numbers only; such data may be sparse.
    """

    place: str
    negative: bool = False
    counts: bool = False


ENTRIES: dict[str, Entry] = {
    "gaussian": Entry("gaussian.FullGaussian", negative=True),
    "tied-gaussian": Entry("gaussian.TiedGaussian", negative=True),
    "diagonal-gaussian": Entry("gaussian.DiagonalGaussian", negative=True),
    "spherical-gaussian": Entry("gaussian.SphericalGaussian", negative=True),
    "student-t": Entry("student_t.FullStudentT", negative=True),
    "diagonal-student-t": Entry("student_t_diagonal.DiagonalStudentT", negative=True),
    "poisson": Entry("poisson.Poisson", counts=True),
    "categorical": Entry("categorical.CategoricalColumns", counts=True),
    "bernoulli": Entry("bernoulli.Bernoulli", counts=True),
    "negative-binomial": Entry("negative_binomial.NegativeBinomial", counts=True),
    "geometric": Entry("geometric.Geometric", counts=True),
    "multinomial": Entry("multinomial.Multinomial", counts=True),
    "exponential": Entry("exponential.Exponential"),
    "gamma": Entry("gamma.Gamma"),
    "weibull": Entry("weibull.Weibull"),
    "log-normal": Entry("log_normal.LogNormal"),
    "inverse-gaussian": Entry("inverse_gaussian.InverseGaussian"),
    "beta": Entry("beta.Beta"),
    "von-mises-fisher": Entry("von_mises_fisher.VonMisesFisher", negative=True),
}


def family_named(name: str, **options: Any) -> Family[Any, Any]:
    """A family by its name, with its options."""
    if name not in ENTRIES:
        raise ParameterError(f"there is no family {name!r}; there are {', '.join(sorted(ENTRIES))}")
    module, kind = ENTRIES[name].place.split(".")
    make = getattr(import_module(f"..families.{module}", __package__), kind)
    lacking = [field.name for field in fields(make) if field.default is MISSING and field.name not in options]
    if lacking:
        raise ParameterError(f"the family {name!r} needs {', '.join(lacking)}; give the family itself, {kind}(…)")
    family: Family[Any, Any] = make(**options)
    return family


def entry_of(family: Any) -> Entry | None:
    """What kinds of data a family takes, given by its name or as itself; None if it is not a known one."""
    if isinstance(family, str):
        return ENTRIES.get(family)
    place = f"{type(family).__module__.rsplit('.', 1)[-1]}.{type(family).__name__}"
    return next((entry for entry in ENTRIES.values() if entry.place == place), None)
