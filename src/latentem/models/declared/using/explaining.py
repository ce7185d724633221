"""What EM does for a declared model: its E-step, its sufficient statistics, its M-step, and what is approximate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill, shorten
from typing import Any

import numpy as np

from ...._typing import FloatArray
from ....data import Batch, Source
from ....domains import Domain, Fixed, Tied
from ....execution import Serial
from ...starts import draw_pool
from ..m_steps.maximize import MOST_STEPS_OVER_DATA, blocks
from ..m_steps.sufficient import Basis, NoBasis
from ..model import DeclaredModel
from ..outline import spelled
from ..parameters import DeclaredParameters
from ..preparing import POOL_ROWS, prepare, start
from .new_data import NewData, checked_parameters

BEFORE_DATA = "not known before data: model.explain(x)"
# How far from θ Hessians are taken on the unconstrained scale.
STEPS = (0.3, 0.03)
WIDTH, INDENT = 100, 13
NAMES_SHOWN, BLOCKS_SHOWN = 8, 6
# Stands for a space at which no line may end.
UNBROKEN = "\u00a0"


@dataclass(frozen=True)
class Explanation:
    """What EM does for a declared model; its text is for people.

    Attributes
    ----------
    name : str
    latent : str
        What z is.
    unit : str
        What has a z of its own: a row, a group of rows, or each row of a sequence.
    e_step : str
        How the posterior of z is found.
    approximate : str or None
        What is approximate about that; None where it is exact.
    rank : int or None
        r, the number of sufficient statistics for each state of z, which r pivot observations stand for; None where
        there are none, or before data.
    rank_error : float or None
        The largest error of log densities rebuilt from the r pivot observations, relative to the largest.
    patterns : int or None
        How many sets of possible states there are, each with pivots of its own.
    reason : str or None
        Why there are no sufficient statistics of a small dimension.
    m_step : str
    blocks : tuple of tuple of str, or None
        Parameters (coordinates of the unconstrained vector) that Q separates into, so that no block's maximum depends
        on another's; None where that is not known.
    n_free : int
        Free parameters.
    held : tuple of str
        Parameters that are fixed or tied, with their domains.
    prior : bool
        Whether there is a `log_prior`.
    """

    name: str
    latent: str
    unit: str
    e_step: str
    approximate: str | None
    rank: int | None
    rank_error: float | None
    patterns: int | None
    reason: str | None
    m_step: str
    blocks: tuple[tuple[str, ...], ...] | None
    n_free: int
    held: tuple[str, ...]
    prior: bool

    def __str__(self) -> str:
        told = {
            "model": f"{self.name}: z is {self.latent}, one for {self.unit}",
            "E-step": self.e_step,
            "statistics": self._statistics(),
            "M-step": self.m_step,
            "blocks": _shown(self.blocks) if self.blocks else None,
            "parameters": "; ".join([f"{self.n_free} free", *self.held]),
            "prior": "log_prior, added to Q in the M-step" if self.prior else None,
            "approximate": self.approximate or "nothing",
        }
        return "\n".join(_line(label, text) for label, text in told.items() if text)

    def _statistics(self) -> str:
        if self.reason is not None:
            return self.reason if self.reason == BEFORE_DATA else f"none of small dimension: {self.reason}"
        sets = f", in {self.patterns} sets of possible states" if (self.patterns or 1) > 1 else ""
        error = max(self.rank_error or 0.0, 1e-15)
        return f"{self.rank}{sets}, found by themselves; log densities are rebuilt to {error:.0g}"


def explain(
    model: DeclaredModel, x: Any = None, parameters: Any = None, *, groups: Any = None, lengths: Any = None
) -> Explanation:
    """What EM does for a model, and for data if they are given.

    Parameters
    ----------
    model : DeclaredModel
        Prepared for data, as `result.model` is, or not yet.
    x : data as for `fit`, optional
        The model is then prepared for these data.
    parameters : DeclaredParameters, or mapping from name to value, optional
        Where; drawn from the data unless given.  A mapping may give some of them.
    groups, lengths
        As for `fit`.

    Raises
    ------
    DataError, ParameterError
        See `fit`.
    """
    if x is None:
        return _explained(model, None if parameters is None else checked_parameters(model, parameters), None)
    source = NewData.of(model, x, groups, lengths).source
    params = _start(model, source, parameters)
    pool = draw_pool(source, np.random.default_rng(0), POOL_ROWS)
    return _explained(prepare(model, source, params), params, pool)


def _explained(model: DeclaredModel, params: DeclaredParameters | None, pool: Batch | None) -> Explanation:
    basis, declaration = model.basis, model.declaration
    found = basis if isinstance(basis, Basis) else None
    n_free = sum(domain.n_free(domain.shape) for _, domain in declaration.domains)
    return Explanation(
        name=declaration.name,
        latent=spelled(declaration.space),
        unit=_unit(model),
        e_step=model.estep.kind,
        approximate=model.estep.approximation,
        rank=found.rank if found else None,
        rank_error=found.error if found else None,
        patterns=len(found.patterns) if found else None,
        reason=None if found else basis.reason if isinstance(basis, NoBasis) else BEFORE_DATA,
        m_step=_m_step(basis, n_free),
        blocks=_blocks(model, params, pool),
        n_free=n_free,
        held=tuple(_held(name, domain) for name, domain in declaration.domains if isinstance(domain, Fixed | Tied)),
        prior=declaration.log_prior is not None,
    )


def _start(model: DeclaredModel, source: Source, parameters: Any) -> DeclaredParameters:
    """The parameters given, or drawn where they are not."""
    if parameters is not None and not isinstance(parameters, Mapping):
        return checked_parameters(model, parameters)
    return start(model, source, parameters or {}, np.random.default_rng(0), Serial())


def _unit(model: DeclaredModel) -> str:
    if model.declaration.is_chain:
        return "each row of a sequence"
    return "each group of rows" if model.per_group else "each row"


def _m_step(basis: Basis | NoBasis | None, n_free: int) -> str:
    if not n_free:
        return "none: all parameters are fixed"
    if basis is None:
        return BEFORE_DATA
    if isinstance(basis, NoBasis):
        return f"Newton over the data: at most {MOST_STEPS_OVER_DATA} safeguarded steps, each of which raises Q"
    which = "all distinct observations" if basis.distinct else "pivot observations"
    return f"Newton on {basis.rank} {which}, whatever the number of rows"


def _held(name: str, domain: Domain) -> str:
    n_free = domain.n_free(domain.shape)
    tied = isinstance(domain, Tied) or (isinstance(domain, Fixed) and isinstance(domain.base, Tied))
    fixed = ("partly fixed" if n_free else "fixed") if isinstance(domain, Fixed) else ""
    return f"{name} {' and '.join(filter(None, ['tied' if tied else '', fixed]))}: {shorten(repr(domain), 80)}"


# -- blocks ------------------------------------------------------------------------------------


def _blocks(
    model: DeclaredModel, params: DeclaredParameters | None, pool: Batch | None
) -> tuple[tuple[str, ...], ...] | None:
    """Coordinates that Q's Hessian connects, by name."""
    domains = model.declaration.domains
    if not any(domain.n_free(domain.shape) for _, domain in domains):
        return ()
    if isinstance(model.basis, Basis):
        hessians = list(_hessians_on_pivots(model, model.basis))
    elif params is not None and pool is not None:
        hessians = list(_hessians_over_pool(model, params, pool))
    else:
        return None
    finite = [np.abs(hessian) for hessian in hessians if np.isfinite(hessian).all()]
    if not finite:
        return None
    names = [label for name, domain in domains for label in domain.coordinate_names(name, domain.shape)]
    return tuple(tuple(names[i] for i in block) for block in blocks(np.sum(finite, axis=0)))


def _hessians_on_pivots(model: DeclaredModel, basis: Basis) -> Iterator[FloatArray]:
    """Of sums over the pivots with positive weights, at a few of the probes: zero only where Q's always is."""
    pairs = basis.pairs()
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(pairs[2]))
    for probe in sorted({0, basis.rank // 2, basis.rank - 1}):
        values = tuple(array[probe] for array in basis.thetas)
        vector = DeclaredParameters(model.declaration.domains, values).flatten()
        yield model._with_prior(vector, model._any_functions().derivatives(vector, *pairs, weights))[2]


def _hessians_over_pool(model: DeclaredModel, params: DeclaredParameters, pool: Batch) -> Iterator[FloatArray]:
    """Of Q given θ, taken beside θ: at a maximum entries may happen to be zero."""
    rng = np.random.default_rng(0)
    for step in STEPS:
        vector = params.flatten() + step * rng.normal(size=params.n_free)
        yield model._complete(vector, model._q_share(params, vector, pool))[2]


# -- text --------------------------------------------------------------------------------------


def _shown(separate: tuple[tuple[str, ...], ...]) -> str:
    if len(separate) == 1:
        return "one: no parameters separate"
    listed = [_first([name.replace(" ", UNBROKEN) for name in block], NAMES_SHOWN, ", ") for block in separate]
    return f"{len(separate)} that separate: {_first(listed, BLOCKS_SHOWN, ' | ')}"


def _first(items: Sequence[str], most: int, separator: str) -> str:
    return separator.join([*items[:most], *([f"{len(items) - most} more"] if len(items) > most else [])])


def _line(label: str, text: str) -> str:
    lines = fill(text, WIDTH, initial_indent=label.ljust(INDENT), subsequent_indent=" " * INDENT)
    return lines.replace(UNBROKEN, " ")
