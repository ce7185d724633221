"""Fits random awkward data through every estimator and says what went wrong: `python tests/bad_input/fuzz.py`.

What may happen: a result, or a `LatentemError`.  What may not: any other exception, a NaN or an infinity in a result, a
log-likelihood that falls beyond its rounding error, responsibilities that do not add to one, a foreign warning, input
that was changed, a trace of a fit that failed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

sys.path.insert(0, str(Path(__file__).parents[1]))

from bad_input.cases import Case, case

from latentem.em import Executor
from latentem.errors import LatentemError
from latentem.estimators import FindingWarning
from latentem.execution import Serial
from latentem.statistics import arrays_of

OURS = (ConvergenceWarning, FindingWarning)
SLOW = 120.0


@dataclass
class Watch(Executor):
    """Runs passes one after the other and keeps the rounding bound of each, by its log-likelihood."""

    bounds: dict[float, float] = field(default_factory=dict)

    def fold(self, function: Any, source: Any) -> Any:
        total = Serial().fold(function, source)
        if hasattr(total, "rounding"):
            self.bounds[total.log_likelihood] = total.rounding
        return total


@dataclass
class Outcome:
    """What came of a case: the problems found, in words, and why it was refused if it was."""

    problems: list[str] = field(default_factory=list)
    refusal: str | None = None


def examine(example: Case) -> Outcome:
    """Fit, predict and sample, and look at everything that comes out."""
    outcome = Outcome()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            outcome.problems += _examined(example, outcome)
        except Exception:
            outcome.problems.append(traceback.format_exc(limit=-6))
    foreign = {f"{w.category.__name__}: {w.message} ({w.filename}:{w.lineno})" for w in told if w.category not in OURS}
    outcome.problems += sorted(foreign)
    return outcome


def _examined(example: Case, outcome: Outcome) -> Iterator[str]:
    X, before = example.X, example.X.copy()
    watch = Watch()
    estimator = example.estimator
    if estimator.executor is None:
        estimator.set_params(executor=watch)
    options = dict(vars(estimator))
    try:
        estimator.fit(X, sample_weight=example.weights, labels=example.labels)
    except LatentemError as error:
        outcome.refusal = str(error)
        yield from _refused(estimator, options, error)
        if example.spoilt and "negative" not in str(error).lower():
            yield from _place_named(example, str(error))
    else:
        if example.spoilt:
            yield f"row and column {example.spoilt} were taken, though their square overflows"
        yield from _fitted(example, estimator, watch)
    if not _same(X, before):
        yield "the data were changed"


def _same(one: Any, two: Any) -> bool:
    if sparse.issparse(one):
        return (one != two).nnz == 0
    return one.dtype.kind == "O" or np.array_equal(one, two, equal_nan=True)


def _place_named(example: Case, message: str) -> Iterator[str]:
    """Of all that may be wrong with a case, a row that is named must be the one that was spoilt, or one before it."""
    rows = [int(row) for row in re.findall(r"\brow (\d+)", message)]
    if rows and min(rows) > example.spoilt[0]:
        yield f"row {example.spoilt[0]} was spoilt, but the message names another: {message}"


def _refused(estimator: Any, options: dict[str, Any], error: Exception) -> Iterator[str]:
    if len(str(error)) < 20:
        yield f"an error without words: {error!r}"
    if vars(estimator) != options and set(vars(estimator)) != set(options):
        yield f"a fit that failed left {set(vars(estimator)) - set(options)} behind"


def _fitted(example: Case, estimator: Any, watch: Watch) -> Iterator[str]:
    result = estimator.result_
    for name, value in _numbers(estimator):
        if not np.all(np.isfinite(value)):
            yield f"{name} is not finite: {value}"
    if not np.isclose(np.sum(result.parameters.latent.weights), 1, rtol=1e-9):
        yield f"the weights add to {np.sum(result.parameters.latent.weights)}"
    yield from _falls(result, watch)
    if estimator.order == "weight" and np.any(np.diff(result.parameters.latent.weights) > 0):
        yield f"the weights are not in order: {result.parameters.latent.weights}"
    yield from _predicted(example, estimator)
    yield from _sampled(estimator)
    if example.again:
        yield from _fitted_again(example, estimator)


def _numbers(estimator: Any) -> Iterator[tuple[str, Any]]:
    """Every number that a fit leaves behind."""
    result = estimator.result_
    yield from result.parameters.arrays().items()
    yield from ((f"statistics {i}", array) for i, array in enumerate(arrays_of(result.expectation)))
    yield "history", [objective for _, objective in result.history]
    yield "criteria", [result.log_likelihood, result.objective, result.aic, result.bic]
    for name, value in vars(estimator).items():
        if name.endswith("_") and not name.startswith("_"):
            yield from ((name, part) for part in (value if isinstance(value, list) else [value]) if _is_real(part))


def _is_real(value: Any) -> bool:
    return isinstance(value, (np.ndarray, float)) and np.asarray(value).dtype.kind == "f"


def _falls(result: Any, watch: Watch) -> Iterator[str]:
    objectives = np.array([objective for _, objective in result.history])
    widest = max(watch.bounds.values(), default=result.expectation.rounding)
    for before, after in pairwise(objectives):
        prior = result.objective != result.log_likelihood
        bound = watch.bounds.get(before, widest) + prior * 1e-14 * (abs(before) + abs(result.log_likelihood))
        if after < before - bound:
            yield f"the objective fell by {before - after:g} from {before!r}, beyond its rounding {bound:g}"


def _predicted(example: Case, estimator: Any) -> Iterator[str]:
    for rows, name in ((example.X, "training rows"), (example.new, "new rows")):
        try:
            r, log_density = estimator.predict_proba(rows), estimator.score_samples(rows)
            labels = estimator.predict(rows)
        except LatentemError as error:
            if "log-likelihood" not in str(error):  # rows of weight 0 may be impossible, and are named
                yield f"{name} are refused: {error}"
            continue
        single = r.dtype == np.float32
        off = ~(np.abs(r.sum(axis=1) - 1) <= (1e-5 if single else 1e-12)) | np.any(r < 0, axis=1)
        if np.any(off):
            yield f"responsibilities of {name} are no shares of one: {r[off]}"
        if not np.all(np.isfinite(log_density)):
            yield f"log densities of {name} are not finite: {log_density}"
        if not np.array_equal(labels, r.argmax(axis=1)) and not single:
            yield f"{name} are not predicted to be in their most probable component"
        criteria = [getattr(estimator, name)(rows) for name in ("aic", "bic", "icl", "score")]
        if not np.all(np.isfinite(criteria)):
            yield f"criteria of {name} are not finite: {criteria}"
    yield from _same_likelihood(example, estimator)


def _same_likelihood(example: Case, estimator: Any) -> Iterator[str]:
    """The log densities of the training rows add to the log-likelihood of the fit."""
    if example.labels is not None or example.X.dtype == np.float32:
        return
    weights = np.ones(example.X.shape[0]) if example.weights is None else np.asarray(example.weights, float)
    kept = weights > 0
    each = estimator.score_samples(example.X[kept])
    total, known = float(weights[kept] @ each), estimator.result_.log_likelihood
    bound = 100 * estimator.result_.expectation.rounding + 1e-10 * float(weights[kept] @ np.abs(each))
    if abs(total - known) > bound:
        yield f"the rows' log densities add to {total!r}, but the fit's log-likelihood is {known!r}"


def _sampled(estimator: Any) -> Iterator[str]:
    drawn, components = estimator.sample(7)
    if len(drawn) != 7 or len(components) != 7 or drawn.shape[1] != estimator.n_features_in_:
        yield f"a sample of 7 rows has shape {drawn.shape}"
    if drawn.dtype.kind == "f" and not np.all(np.isfinite(drawn)):
        yield f"a sample is not finite: {drawn}"
        return
    try:
        log_density = estimator.score_samples(drawn)
    except LatentemError as error:
        yield f"a sample is refused: {error}"
    else:
        if not np.all(np.isfinite(log_density)):
            yield f"a sample has log densities {log_density}"


def _fitted_again(example: Case, estimator: Any) -> Iterator[str]:
    """A warm start goes on from where the fit ended: the objective does not fall."""
    before = estimator.result_
    estimator.set_params(warm_start=True)
    try:
        estimator.fit(example.X, sample_weight=example.weights, labels=example.labels)
    except LatentemError as error:
        yield f"a warm start is refused: {error}"
        return
    after = estimator.result_
    if after.objective < before.objective - 2 * before.expectation.rounding:
        yield f"a warm start fell from {before.objective!r} to {after.objective!r}"


def run(seed: int, first: int, count: int, show: bool = False) -> dict[int, Outcome]:
    """Examine cases and print what is wrong with each; what came of each by its number."""
    outcomes = {}
    for number in range(first, first + count):
        example, began = case(seed, number), time.process_time()
        outcome = outcomes[number] = examine(example)
        taken = time.process_time() - began
        if taken > SLOW:
            outcome.problems.append(f"it took {taken:.1f} s")
        if outcome.problems:
            print(f"--- case {number}: {example.words}", *outcome.problems, sep="\n", flush=True)
        if show and outcome.refusal:
            print(f"case {number} refused: {outcome.refusal}", flush=True)
    return outcomes


def main() -> int:
    parser = argparse.ArgumentParser(description="Fit random awkward data through every estimator.")
    parser.add_argument("--count", type=int, default=2000, help="how many cases")
    parser.add_argument("--seed", type=int, default=0, help="of the stream of cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--refusals", action="store_true", help="print why cases were refused")
    asked, began = parser.parse_args(), time.perf_counter()
    outcomes = run(asked.seed, asked.first, asked.count, asked.refusals)
    failed = [number for number, outcome in outcomes.items() if outcome.problems]
    fitted = sum(outcome.refusal is None for outcome in outcomes.values())
    print(
        f"{asked.count} cases of seed {asked.seed} in {time.perf_counter() - began:.0f} s: {fitted} fitted, "
        f"{asked.count - fitted} refused with reasons; {len(failed)} went wrong {failed or ''}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
