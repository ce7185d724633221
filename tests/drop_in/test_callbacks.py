"""scikit-learn's callbacks: the tasks of a fit, in order, each begun and ended once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentem.estimators import GaussianMixture, PoissonMixture

callback = pytest.importorskip("sklearn.callback", reason="this scikit-learn has no callbacks")


class Recorder:
    """Writes down every call; stops where it is told to."""

    def __init__(self, stop_at: tuple[str, int] | None = None, fail_at: str | None = None) -> None:
        self.calls: list[tuple[str, str, int]] = []
        self.scores: list[float] = []
        self.stop_at, self.fail_at = stop_at, fail_at

    def setup(self, estimator: Any, context: Any) -> None:
        self.calls.append(("setup", context.task_name, context.task_id))

    def teardown(self, estimator: Any, context: Any) -> None:
        self.calls.append(("teardown", context.task_name, context.task_id))

    def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator: Any, context: Any, *, X: Any = None, fitted_estimator: Any = None) -> bool:
        self.calls.append(("end", context.task_name, context.task_id))
        if context.task_name == self.fail_at:
            raise RuntimeError("the callback failed")
        if context.task_name == "iteration":
            self.scores.append(fitted_estimator.score(X))
        return self.stop_at == (context.task_name, context.task_id)

    def named(self, what: str, task: str) -> list[int]:
        return [number for event, name, number in self.calls if (event, name) == (what, task)]


@pytest.fixture
def table(rng: np.random.Generator) -> Any:
    return rng.normal(size=(120, 2)) + 2.0 * rng.integers(0, 2, (120, 1))


def test_every_task_is_begun_and_ended_once_and_in_order(table: Any) -> None:
    recorder = Recorder()
    fitted = GaussianMixture(2, n_init=2, random_state=0).set_callbacks(recorder).fit(table)
    assert recorder.calls[:2] == [("setup", "fit", 0), ("begin", "fit", 0)]
    assert recorder.calls[-2:] == [("end", "fit", 0), ("teardown", "fit", 0)]
    assert recorder.named("begin", "start") == recorder.named("end", "start") == [0, 1]
    assert recorder.named("begin", "iteration") == recorder.named("end", "iteration")
    assert fitted.n_iter_ in [len(run) for run in np.split(*_runs(recorder.named("end", "iteration")))]


def _runs(numbers: list[int]) -> tuple[Any, Any]:
    return np.array(numbers), np.flatnonzero(np.array(numbers) == 0)[1:]


def test_the_fitted_estimator_of_an_iteration_is_the_fit_stopped_there(table: Any) -> None:
    recorder = Recorder()
    fitted = GaussianMixture(2, random_state=0).set_callbacks(recorder).fit(table)
    assert recorder.scores == pytest.approx(fitted.lower_bounds_, rel=1e-12)
    assert recorder.scores[-1] == pytest.approx(fitted.score(table), rel=1e-12)


def test_a_callback_stops_the_fit_and_the_status_says_so(table: Any) -> None:
    fitted = GaussianMixture(2, tol=1e-12, random_state=0).set_callbacks(Recorder(("iteration", 2))).fit(table)
    assert fitted.n_iter_ == 3
    assert not fitted.converged_
    assert "callback" in fitted.result_.status.value


def test_a_callback_stops_further_starts(table: Any) -> None:
    recorder = Recorder(("start", 0))
    GaussianMixture(2, n_init=4, random_state=0).set_callbacks(recorder).fit(table)
    assert recorder.named("end", "start") == [0]


def test_teardown_follows_a_failure(table: Any) -> None:
    recorder = Recorder(fail_at="iteration")
    with pytest.raises(RuntimeError, match="the callback failed"):
        GaussianMixture(2, random_state=0).set_callbacks(recorder).fit(table)
    assert recorder.calls[-1] == ("teardown", "fit", 0)


def test_callbacks_change_no_bit_of_the_fit(table: Any) -> None:
    counts = np.abs(np.round(3 * table))
    plain = PoissonMixture(2, random_state=0).fit(counts)
    watched = PoissonMixture(2, random_state=0).set_callbacks(Recorder()).fit(counts)
    assert np.array_equal(plain.rates_, watched.rates_)


def test_scikit_learns_own_callbacks_run(table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rich")
    monitor = callback.ScoringMonitor(scoring={"score": lambda estimator, X, y: estimator.score(X)})
    fitted = GaussianMixture(2, random_state=0).set_callbacks(callback.ProgressBar(), monitor)
    fitted.fit(table, np.zeros(120))
    scores = [row["score"] for row in monitor.get_logs().data if row["task_name"] == "iteration"]
    assert scores == pytest.approx(fitted.lower_bounds_, rel=1e-12)
    assert "GaussianMixture" in capsys.readouterr().out
