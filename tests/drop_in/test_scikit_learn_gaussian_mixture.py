"""scikit-learn's own tests of `GaussianMixture`, with ours in its place.

The peer's module is loaded afresh, its name `GaussianMixture` bound to our class; its private helpers stay its own.
What differs on purpose is in `DIFFERENCES`, each with its reason; a difference that has gone fails the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from drop_in.peers import CONSTRUCTED, Count, load

from latentem.estimators import GaussianMixture

PEER = "sklearn.mixture.tests.test_gaussian_mixture"

DIFFERENCES: dict[str, str] = {
    "test_check_weights": "the peer's message swaps the largest and the smallest weight; ours names the component",
    "test_gaussian_mixture_fit_convergence_warning": "the warning is the status of the fit, one sentence for each "
    "reason to stop, where the peer has one text for all",
    "test_gaussian_mixture_setting_best_params": "a component collapses onto one row there; without a floor that is "
    "an error, where the peer goes on with a variance that is rounding error",
    "test_score[float32]": "log densities are summed in float64; the peer's mean of float32 numbers is off by 3e-7",
    "test_monotonic_likelihood": "tol=1e-7 bounds the gain that remains: the diagonal fit sits on a plateau for 4300 "
    "passes, which the peer, looking at the last gain alone, calls convergence within 600",
    "test_regularisation": "reg_covar=0 on collapsed data raises here too, but the message names component and rows",
    "test_gaussian_mixture_precisions_init": "calls the private methods _set_parameters and _initialize",
    "test_gaussian_mixture_all_init_does_not_estimate_gaussian_parameters": "counts calls of a private function of "
    "the peer",
}

# Tests of the peer's private functions alone: they say nothing about ours.
NOT_OURS = {
    "test_suffstat_sk_full",
    "test_suffstat_sk_tied",
    "test_suffstat_sk_diag",
    "test_gaussian_suffstat_sk_spherical",
    "test_compute_log_det_cholesky",
    "test_gaussian_mixture_log_probabilities",
}

# Not run: arrays that live outside NumPy (array API dispatch) are converted by the user.
ARRAY_API = {
    "test_gaussian_mixture_array_api_compliance",
    "test_gaussian_mixture_raises_where_array_api_not_implemented",
}

OWN = {
    "test_every_name_in_the_tables_is_a_test_of_the_peer",
    "test_the_page_of_differences_has_every_one_of_them",
}

COUNT = Count()
peer = load(PEER, GaussianMixture=COUNT.of(GaussianMixture))

for _name, _function in list(vars(peer).items()):
    if _name.startswith("test_") and _name not in ARRAY_API:
        globals()[_name] = pytest.mark.filterwarnings("ignore::UserWarning")(_function)


@pytest.fixture(autouse=True)
def met(request: pytest.FixtureRequest) -> Iterator[None]:
    """Record how often our class was constructed."""
    COUNT.n = 0
    for name in (request.node.name, request.node.originalname):
        if name in DIFFERENCES:
            request.node.add_marker(pytest.mark.xfail(reason=DIFFERENCES[name], strict=True))
    yield
    if request.node.originalname in OWN:
        return
    request.node.user_properties.append((CONSTRUCTED, COUNT.n))
    if request.node.originalname not in NOT_OURS:
        assert COUNT.n, "this test of the peer no longer constructs the class: list it in NOT_OURS"


def test_the_page_of_differences_has_every_one_of_them() -> None:
    page = Path(__file__).parents[2] / "docs" / "differences.md"
    text = page.read_text(encoding="utf-8")
    for name in DIFFERENCES:
        assert f"`{name}`" in text, f"docs/differences.md does not explain {name}"


def test_every_name_in_the_tables_is_a_test_of_the_peer() -> None:
    unknown = ({name.split("[")[0] for name in DIFFERENCES} | NOT_OURS | ARRAY_API) - set(vars(peer))
    assert not unknown, f"scikit-learn has no such tests any more: {sorted(unknown)}"
