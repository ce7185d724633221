"""Hundreds of random awkward data sets through every estimator; thousands with `make fuzz`."""

from __future__ import annotations

import numpy as np
import pytest
from bad_input.cases import KINDS, case
from bad_input.fuzz import Outcome, examine
from bad_input.specimens import estimators

from latentem.estimators.registry import ENTRIES

SEED, BLOCKS, SIZE = 1, 15, 20


@pytest.mark.parametrize("block", range(BLOCKS))
def test_awkward_data_give_a_sound_result_or_an_error_of_ours(block: int) -> None:
    outcomes = {number: examine(case(SEED, number)) for number in range(block * SIZE, (block + 1) * SIZE)}
    wrong = {case(SEED, number).words: o.problems for number, o in outcomes.items() if o.problems}
    assert not wrong
    assert sum(outcome.refusal is None for outcome in outcomes.values()) > SIZE // 3


def test_a_case_is_the_same_every_time() -> None:
    one, two = case(3, 17), case(3, 17)
    assert one.words == two.words
    assert np.array_equal(one.X, two.X, equal_nan=one.X.dtype.kind == "f")


def test_every_estimator_and_every_family_takes_part() -> None:
    made = {name: kind.make(n_components=kind.components or 2) for name, kind in KINDS.items()}
    assert {type(estimator).__name__ for estimator in made.values()} == set(estimators())
    named = {str(getattr(estimator, "family", "")) for estimator in made.values()}
    own = {getattr(estimator, "_name", "") for estimator in made.values()}
    absent = set(ENTRIES) - own - named
    assert not {name for name in absent if not any(_is(name, family) for family in named)}


def _is(name: str, family: str) -> bool:
    """Whether a family's representation is that of the class that the registry knows by this name."""
    return family.startswith(ENTRIES[name].place.rsplit(".", 1)[1] + "(")


def test_what_is_wrong_is_found() -> None:
    """The net has no holes: an estimator that spoils its result does not pass."""
    sound = next(case(SEED, number) for number in range(200) if examine(case(SEED, number)) == Outcome())

    class Spoilt(type(sound.estimator)):  # type: ignore[misc]
        def fit(self, *arguments, **columns):
            super().fit(*arguments, **columns)
            self.weights_ = self.weights_ * np.nan
            return self

    sound.estimator.__class__ = Spoilt
    assert any("weights_ is not finite" in problem for problem in examine(sound).problems)
