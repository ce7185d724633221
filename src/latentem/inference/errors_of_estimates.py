"""Standard errors of the estimates of a fit, and of functions of them; where there are none, why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from . import natural
from .covariance import Spread
from .examined import Examination, examined
from .functions import Derived, derived
from .intervals import SCALES, Scale, quantile, wald
from .profile import Profile

NO_END = "the profile likelihood does not fall far enough on that side, or could not be followed"


@dataclass(frozen=True, repr=False)
class StandardErrors:
    """Estimates with their standard errors, entry by entry.

    Attributes
    ----------
    method : str
    names : tuple of str
        What each entry is called: "emission.means[0,1]".
    estimates, errors : (entries,)
        NaN where an entry has no standard error; `reasons` says why.
    covariance : (entries, entries)
    reasons : dict from name to str
        Why an entry, or a coordinate, has no standard error.
    coordinate_names : tuple of str
        What each unconstrained coordinate is called: "log emission.scales[0]".
    coordinates, coordinate_errors : (d,)
    coordinate_covariance : (d, d)
    told : tuple of str
        What else there is to know: that the fit was not at its limit, that replicates failed.
    replicates : tuple of Parameters
        Estimates from resampled data, of a bootstrap.
    """

    method: str
    names: tuple[str, ...]
    estimates: FloatArray
    errors: FloatArray
    covariance: FloatArray
    reasons: dict[str, str]
    coordinate_names: tuple[str, ...]
    coordinates: FloatArray
    coordinate_errors: FloatArray
    coordinate_covariance: FloatArray
    told: tuple[str, ...] = ()
    replicates: tuple[Any, ...] = ()
    result: Any = field(default=None, compare=False)
    spread: Spread | None = field(default=None, compare=False)

    def __getitem__(self, name: str) -> float:
        """The standard error of one entry, or of one coordinate."""
        for names, errors in ((self.names, self.errors), (self.coordinate_names, self.coordinate_errors)):
            if name in names:
                return float(errors[names.index(name)])
        raise ParameterError(f"there is no entry {name!r}; there are {', '.join(self.names)}")

    def intervals(
        self, level: float = 0.95, scale: str = "unconstrained", names: Iterable[str] | None = None
    ) -> FloatArray:
        """Both ends of an interval for each entry, (entries, 2), or for each that is named; NaN where there is none.

        Parameters
        ----------
        level : float
        scale : {"unconstrained", "natural", "profile", "percentile"}
            θ ± z s, on the logarithm of positive numbers and the log-odds of shares, mapped back, or as it is; where
            the profile likelihood has fallen by z²/2, some dozens of passes over the data for each entry; or, of a
            bootstrap, quantiles of the replicates.
        names : names of entries, optional
            In this order.

        Raises
        ------
        ParameterError
            There is no such scale, level or entry.
        """
        z, chosen = quantile(level), [self._entry(name) for name in (self.names if names is None else names)]
        if scale == "profile":
            return self._profiles(z, chosen)
        if scale == "percentile" and self.replicates:
            return self._percentiles(level, chosen)
        if scale not in SCALES:
            offered = (*SCALES, "percentile") if self.replicates else SCALES
            raise ParameterError(f"scale must be one of {', '.join(map(repr, offered))}, got {scale!r}")
        scales = self._scales() if scale == "unconstrained" else [Scale()] * len(self.names)
        ends = [wald(float(self.estimates[i]), float(self.errors[i]), z, scales[i]) for i in chosen]
        return np.array(ends).reshape(-1, 2)

    def of(self, function: Callable[[Any], Any]) -> Derived:
        """The value of a function of the parameters with its standard errors, by the delta method.

        Parameters
        ----------
        function : callable
            Takes parameters as the result has them; returns a number or an array.

        Returns
        -------
        Derived
        """
        return derived(function, self.result.parameters, self.spread, self.replicates)

    def _entry(self, name: str) -> int:
        if name not in self.names:
            raise ParameterError(f"there is no entry {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def _scales(self) -> list[Scale]:
        return [Scale(*map(float, ends)) for ends in natural.limits(self.result.parameters)]

    def _profiles(self, z: float, chosen: list[int]) -> FloatArray:
        scales = self._scales()
        with examined(self.result, None) as case:
            best = case.refined()
            return np.array([self._profile(best, i, z, scales[i]) for i in chosen]).reshape(-1, 2)

    def _profile(self, case: Examination, entry: int, z: float, scale: Scale) -> tuple[float, float]:
        """Both ends; where one is not found, that of the range if there is one, else NaN."""
        if np.isnan(self.errors[entry]):
            return np.nan, np.nan
        profile = Profile(case, entry, scale)
        found = [profile.end(z, sense) for sense in (-1.0, 1.0)]
        ends = [limit if np.isfinite(limit) else np.nan for limit in (scale.low, scale.high)]
        low, high = (end if one is None else one for one, end in zip(found, ends, strict=True))
        return float(low), float(high)

    def _percentiles(self, level: float, chosen: list[int]) -> FloatArray:
        rows = np.array([natural.entries(one) for one in self.replicates])[:, chosen]
        ends = np.quantile(rows, [0.5 - 0.5 * level, 0.5 + 0.5 * level], axis=0).T
        return np.where(np.isnan(self.errors[chosen])[:, None], np.nan, ends)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        shown = [i for i in range(len(self.names)) if not np.isnan(self.errors[i])]
        ends = self.intervals()
        rows = [("", "estimate", "std. error", "95 % interval")]
        for i in shown:
            interval = f"{ends[i, 0]:.5g} to {ends[i, 1]:.5g}"
            rows.append((self.names[i], f"{self.estimates[i]:.6g}", f"{self.errors[i]:.4g}", interval))
        table = _columns(rows) if shown else []
        return "\n".join([f"standard errors by {self.method}", *table, *self.lacking(), *self.told])

    def lacking(self) -> list[str]:
        """One line for each reason, with the entries that it keeps from a number."""
        by_reason: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            if name in self.names:
                by_reason.setdefault(reason, []).append(name)
        return [f"no number for {', '.join(names)}: {reason}" for reason, names in by_reason.items()]


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = [row[0].ljust(widths[0]) for row in rows]
    right = [[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)] for row in rows]
    return ["  ".join([name, *cells]) for name, cells in zip(left, right, strict=True)]
