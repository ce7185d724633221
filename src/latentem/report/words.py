"""The verdict in a sentence, and plain answers to three questions, with the numbers of this fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isfinite, log
from typing import Any

import numpy as np

from ..inference import Verdict
from ..result import EMResult
from .identity import Residual
from .limit import Limit
from .methods import Methods
from .numbers import percent, said, times
from .trail import LOST, Trail

_SENTENCES = {
    Verdict.MAXIMUM: "The fit ended at a strict local maximum of the likelihood",
    Verdict.BOUNDARY: "The fit ended at a local maximum of the likelihood, some parameters at an end of their range",
    Verdict.RIDGE: "The fit ended on a ridge: nothing nearby is higher, but a whole line of parameters is as high",
    Verdict.SADDLE: "The fit ended at a saddle, no maximum: the likelihood rises where EM hardly moves",
    Verdict.UNDECIDED: "Curvature does not tell whether the point where the fit ended is a maximum",
    Verdict.NOT_CONVERGED: "The fit has not converged: its limit is still away",
}
DOING = (
    "It never climbs the log-likelihood ℓ itself. The E-step asks where z may be, given θₜ, and from that draws a "
    "surface that lies below ℓ everywhere and touches it at θₜ; the M-step goes to the top of that surface."
)
CONVERGING = (
    "ℓ = bound + KL, the KL is 0 at θₜ and nowhere negative: so what raises the bound raises ℓ at least as much. A "
    "sequence that never falls, and that cannot rise beyond the top, has to come to rest; under mild conditions it "
    "rests where the slope of ℓ is 0. That this is the highest point of all is not guaranteed."
)
PREFERRED = (
    "When the M-step is easy, when a method must never fall, leave the range of a parameter or need tuning, and when "
    "not too much information is missing: its rate is that fraction."
)
_MARKS = {
    Verdict.MAXIMUM: ("good", "✓"),
    Verdict.BOUNDARY: ("good", "✓"),
    Verdict.RIDGE: ("caution", "≈"),
    Verdict.UNDECIDED: ("caution", "?"),
    Verdict.SADDLE: ("bad", "✕"),
    Verdict.NOT_CONVERGED: ("bad", "✕"),
}


@dataclass(frozen=True)
class VerdictWords:
    """The first section: a sentence, its mark, and what it rests on."""

    sentence: str
    kind: str
    mark: str
    reasons: tuple[str, ...]


def verdict(result: EMResult, certificate: Any, why_none: str) -> VerdictWords:
    """What the fit is worth, in one sentence."""
    told = tuple(f"{finding.message}." for finding in result.findings)
    status = f"Status: {result.status.value}."
    if certificate is None:
        kind, mark = ("good", "✓") if result.converged else ("bad", "✕")
        sentence = result.status.value[:1].upper() + result.status.value[1:] + "."
        return VerdictWords(sentence, kind, mark, (f"There is no certificate: {why_none}", *told))
    kind, mark = _MARKS[certificate.verdict]
    sentence = _SENTENCES[certificate.verdict] + _distance(certificate) + "."
    reasons = tuple(reason.rstrip(".") + "." for reason in certificate.reasons)
    return VerdictWords(sentence, kind, mark, (status, *(r[:1].upper() + r[1:] for r in reasons), *told))


def _distance(certificate: Any) -> str:
    if not isfinite(certificate.distance) or certificate.verdict is Verdict.UNDECIDED:
        return ""
    if certificate.verdict is Verdict.SADDLE:
        return ""
    return (
        f"; what is left of the way is {said(certificate.distance, 2)} standard errors, worth "
        f"{said(abs(certificate.remaining_gain), 2)} in log-likelihood"
    )


@dataclass(frozen=True)
class Answer:
    """A question, its answer in sentences, and the section that shows more."""

    question: str
    sentences: tuple[str, ...]
    section: str


def answers(
    trail: Trail, found: tuple[Residual, ...], limit: Limit, methods: Methods | None, certificate: Any
) -> tuple[Answer, ...]:
    """What a student asks first."""
    return (
        Answer("What is EM really doing?", tuple(_doing(trail)), "explorer"),
        Answer("Why is it guaranteed to converge?", tuple(_converging(trail, found, limit, certificate)), "ascent"),
        Answer("When is EM preferred to other methods?", tuple(_preferred(methods, certificate)), "methods"),
    )


def _doing(trail: Trail) -> list[str]:
    told = [DOING]
    rises = np.diff([one.objective for one in trail.passages])
    if trail.local or len(rises) == 0:
        return told
    if trail.passages[-1].objective - trail.passages[0].objective <= trail.end.rounding:
        return [*told, "Here the way began at its end: no step raised ℓ by more than rounding."]
    q, total = np.array([one.q_gain for one in trail.passages[1:]]), float(np.sum(rises))
    first = f"Here the first step raised the bound by {said(q[0])}; ℓ rose by {said(rises[0])}"
    told.append(
        f"{first}, {said(rises[0] - q[0])} more, because ℓ lies above its bound by the KL divergence that opens when θ "
        "moves."
    )
    if total > 0:
        share = 1 - float(np.sum(q)) / total
        told.append(
            f"Over {times(len(rises), 'step')} ℓ rose by {said(total)}, of which {percent(share)} was such a gift."
        )
    return told


def _converging(
    trail: Trail, found: tuple[Residual, ...], limit: Limit, certificate: Any
) -> list[str]:
    rises = np.diff([one.objective for one in trail.passages])
    told = [CONVERGING]
    if len(rises):
        fell = int(np.sum(rises < -2 * trail.end.rounding))
        told.append(
            f"Of the {times(len(rises), 'step')} here "
            + ("none lowered ℓ" if fell == 0 else f"{fell} lowered ℓ, which should not be")
            + f"; the first gained {_gained(rises[0], trail)}, the last {_gained(rises[-1], trail)}."
        )
    if found:
        worst = max(abs(one.value) for one in found)
        told.append(f"The identity, each of its terms computed by itself, held within {said(worst, 2)}.")
    if isfinite(limit.rate):
        told.append(_pace(limit, certificate))
    return told


def _gained(rise: float, trail: Trail) -> str:
    return "nothing beyond rounding" if abs(rise) <= trail.end.rounding / LOST else said(rise, 3)


def _pace(limit: Limit, certificate: Any) -> str:
    text = f"Near the limit each step left {percent(limit.rate)} of the distance"
    missing = getattr(certificate, "missing_information", float("nan"))
    if isfinite(missing):
        text += f"; theory says {percent(missing)}, the largest fraction of information that z hides"
    return text + "."


def _preferred(methods: Methods | None, certificate: Any) -> list[str]:
    told = [PREFERRED]
    rate = getattr(certificate, "rate", float("nan"))
    if isfinite(rate) and 0 < rate < 1:
        needed = ceil(log(1e-3) / log(rate))
        told.append(
            f"Here λ = {said(rate, 3)}, so that plain EM needs about {times(needed, 'step')} to come a thousand times "
            + ("nearer: quick enough." if needed <= 50 else "nearer: an acceleration of EM pays.")
        )
    if methods is not None and methods.found is not None:
        told.append(_measured(methods))
    return told


def _measured(methods: Methods) -> str:
    rows = {row["method"]: row for row in methods.found.table()} if methods.found else {}
    parts = []
    for name, row in rows.items():
        if name in ("em", "auto", *methods.direct):
            parts.append(
                f"{name} took {times(int(row['passes']), 'pass', 'passes')}"
                if row["arrived"]
                else f"{name} was not there after {times(methods.passes, 'pass', 'passes')}"
            )
    return f"Measured from the start of this fit: {', '.join(parts)}."
