"""A fit that fails leaves no trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NOTES = ("_skl_callback", "_callback")


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Give an estimator all its attributes back if the block raises: a fit before it still predicts as it did.

    What scikit-learn noted of callbacks stays: it has them to tear down.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        noted = {name: value for name, value in vars(estimator).items() if name.startswith(NOTES)}
        vars(estimator).clear()
        vars(estimator).update({**before, **noted})
        raise
