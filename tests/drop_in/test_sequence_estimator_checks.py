"""scikit-learn's common checks on the sequence estimators; what may fail is listed with its reason, and must fail.

scikit-learn hands y over as the second argument, where hmmlearn's classes, and so ours, have the lengths of sequences.
The checks meet subclasses whose `fit`, `partial_fit`, `fit_predict` and `score` take y there and ignore it.  Weights
belong to sequences, not to rows, so that the checks of weights of rows have nothing to check.
"""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import latentem.estimators as estimators

REORDERED = "rows are steps in time: another order is another sequence"
SUBSET = "rows are steps in time: what is said of one depends on those around it"
EXEMPT = {
    "check_methods_sample_order_invariance": REORDERED,
    "check_methods_subset_invariance": SUBSET,
}


def _with_y(kind: type) -> type:
    class Checked(kind):  # type: ignore[misc, valid-type]
        """The same, with y where scikit-learn has it."""

        def fit(self, X: Any, y: Any = None) -> Any:
            return super().fit(X)

        def partial_fit(self, X: Any, y: Any = None) -> Any:
            return super().partial_fit(X)

        def fit_predict(self, X: Any, y: Any = None) -> Any:
            return super().fit_predict(X)

        def score(self, X: Any, y: Any = None) -> float:
            return super().score(X)

    Checked.__name__ = Checked.__qualname__ = kind.__name__
    globals()[kind.__name__] = Checked  # where pickle finds it
    return Checked


def checked(name: str, *args: Any, **options: Any) -> Any:
    return _with_y(getattr(estimators, name))(*args, **options)


ESTIMATORS = [
    checked("GaussianHMM", 2, "full", n_init=2),
    checked("GMMHMM", 2, 2, n_iter=3),
    checked("HiddenMarkovModel", "gaussian", 2, n_iter=5),
    checked("PoissonHMM", 2),
    checked("MultinomialHMM", 2),
]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(autouse=True)
def no_global_random_state() -> None:
    """Some checks draw from NumPy's global generator themselves."""


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda _: EXEMPT, xfail_strict=True)
def test_sequence_estimators(estimator: Any, check: Any) -> None:
    check(estimator)
