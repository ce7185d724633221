"""A user's own subclass of a named mixture keeps its constructor and its docstring."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from latentem import PoissonMixture
from latentem.estimators import FamilyMixture


class Named(PoissonMixture):
    """Counts of birds."""

    def __init__(self, birds: int = 2) -> None:
        super().__init__(birds, random_state=0, init_params="random")
        self.birds = birds


class WithMethod(PoissonMixture):
    """More methods."""

    def total(self) -> Any:
        return self.rates_.sum()


class WithDefaults(PoissonMixture):
    _defaults = {"n_init": 7}


class WithFamily(FamilyMixture):
    """Counts."""

    _name = "geometric"


def test_a_subclass_keeps_its_own_constructor_and_docstring(rng: np.random.Generator) -> None:
    mixture = Named(birds=3)
    assert mixture.get_params() == {"birds": 3} and mixture.n_components == 3
    assert Named.__doc__ == "Counts of birds."
    assert clone(mixture).fit(rng.poisson(3.0, (60, 2))).rates_.shape == (3, 2)


def test_a_subclass_without_a_constructor_has_its_parents(rng: np.random.Generator) -> None:
    assert WithMethod(2).get_params() == PoissonMixture(2).get_params()
    assert WithMethod.__doc__ == "More methods."
    assert WithMethod(2, random_state=0).fit(rng.poisson(3.0, (60, 2))).total() > 0


def test_a_subclass_that_declares_defaults_gets_them(rng: np.random.Generator) -> None:
    assert WithDefaults().n_init == 7 and PoissonMixture().n_init == 1
    assert WithFamily(2).fit(rng.poisson(3.0, (60, 2))).n_components == 2
    assert "random_state" in str(WithFamily.__doc__)
