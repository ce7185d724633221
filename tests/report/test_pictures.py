"""Every model has its picture: numbers that JSON takes, which say of each step what the model says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zoo
from report.picture_cases import (
    Trail,
    factor_model,
    mixture_of_factor_models,
    pair,
    state_space,
    trail,
    two_normals,
)

import latentem as em
from latentem.data import ArraySource, Batch
from latentem.families import CategoricalColumns, DiagonalGaussian, FullGaussian, LogNormal, Poisson
from latentem.families.gaussian import FullGaussianParameters
from latentem.families.student_t import FullStudentT, FullStudentTParameters
from latentem.latents.categorical import CategoricalParameters
from latentem.model import LatentVariableModel, ModelParameters
from latentem.report.pictures import picture_of
from latentem.report.pictures.packing import packed, packed_shares, rounded, unpacked
from latentem.report.pictures.rows import some_rows

FAMILIES = {**zoo.FAMILIES, **zoo.VARIANTS}
LATENTS = {**zoo.LATENTS, **zoo.LATENT_VARIANTS}
LARGEST = 250_000

PLANES = {"FullGaussian", "TiedGaussian", "DiagonalGaussian", "SphericalGaussian", "FullStudentT", "DiagonalStudentT"}
PLANES |= {"VonMisesFisher", "Constrained", "Conjugate"}
PROFILES = {"Bernoulli", "CategoricalColumns", "Multinomial"}
REGRESSIONS = {"LinearRegression", "PoissonRegression", "LogisticRegression"}


def kind_of(family: str) -> str:
    for kind, names in (("plane", PLANES), ("profile", PROFILES), ("regression", REGRESSIONS)):
        if family in names:
            return kind
    return "parameters" if family == "Autoregression" else "columns"


def drawn(fit: Trail, seed: int = 0) -> dict:
    """The picture, after the checks that every picture passes."""
    spec = picture_of(fit, np.random.default_rng(seed))
    assert spec is not None
    assert len(json.dumps(spec, allow_nan=False)) <= LARGEST
    for one in (spec, *spec.get("parts", [])):
        assert {"kind", "title", "description"} <= set(one)
        if "weights" in one:
            assert len(one["weights"]) == len(fit.steps)
            np.testing.assert_allclose(np.sum(one["weights"], axis=1), 1.0, atol=2e-3 * len(one["weights"][0]))
        if "responsibilities" in one:
            shares = unpacked(one["responsibilities"])
            assert len(shares) == len(fit.steps)
            np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    return spec


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_picture_under_a_mixture(family):
    spec = drawn(pair("Categorical", family, n_steps=2 if family in zoo.FAMILIES else 1))
    if family in zoo.FAMILIES:
        assert spec["kind"] == kind_of(family)


@pytest.mark.parametrize("family", [name for name in zoo.FAMILIES if not FAMILIES[name].of(2).per_group])
def test_every_family_has_a_picture_under_a_chain(family):
    spec = drawn(pair("MarkovChain", family, n_steps=2))
    kinds = [part["kind"] for part in spec["parts"]]
    assert spec["kind"] == "states"
    assert kinds == [kind for kind in ("transitions", kind_of(family)) if kind != "parameters"]


@pytest.mark.parametrize("latent", LATENTS)
def test_every_latent_has_a_picture(latent):
    spec = drawn(pair(latent, "FullGaussian"))
    assert spec["kind"] == ("plane" if latent.startswith("Categorical") else "states")
    if spec["kind"] == "states":
        tables = unpacked(spec["parts"][0]["table"])
        np.testing.assert_allclose(tables.sum(axis=2), 1.0, atol=1e-3)


OTHERS = {
    "loadings": factor_model,
    "smoothed": state_space,
    "plane": mixture_of_factor_models,
    "parameters": two_normals,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_models_have_theirs(kind):
    assert drawn(OTHERS[kind]())["kind"] == kind


def test_a_declared_model_with_states_shows_what_the_posterior_gives_to_each():
    fit = two_normals()
    part = drawn(fit)["parts"][0]
    heights = unpacked(part["heights"])
    x = np.concatenate([batch.values[:, 0] for batch in fit.source]).clip(part["edges"][0], part["edges"][-1])
    counts = np.histogram(x, bins=part["edges"])[0]
    np.testing.assert_allclose(heights.sum(axis=1), np.tile(counts, (len(heights), 1)), atol=0.6)


@pytest.mark.parametrize("degrees", [np.inf, 4.0])
def test_ellipses_hold_the_mass_they_say(degrees, rng):
    means, covariances = np.array([[0.0, 1, 2], [5, 5, 5]]), zoo.covariances(2, 3)
    family, emission = FullGaussian(), FullGaussianParameters(means, covariances)
    if np.isfinite(degrees):
        family, emission = FullStudentT(), FullStudentTParameters(means, covariances, np.full(2, degrees))
    params = ModelParameters(CategoricalParameters(np.array([0.3, 0.7])), emission)
    model = LatentVariableModel(em.Categorical(2), family)
    values = model.sample(params, np.zeros(300, int), rng)
    spec = drawn(trail(model, ArraySource(values), params, 1))
    order = [int(name[1:]) for name in spec["columns"]]
    for k in range(2):
        draws = family.sample(emission, np.full(20_000, k), rng)[:, order][:, :2]
        from_centre = draws - np.array(spec["centres"][0][k])[:2]
        inverse = np.linalg.inv(np.array(spec["spreads"][0][k])[:2, :2])
        squared = np.einsum("ni,ij,nj->n", from_centre, inverse, from_centre)
        inside = [np.mean(squared <= limit) for limit in spec["squared_radii"][0][k]]
        np.testing.assert_allclose(inside, [0.5, 0.95], atol=0.015)


@pytest.mark.parametrize("family", ["Gamma", "Poisson", "NegativeBinomial", "Product"])
def test_curves_hold_the_weight_of_their_component(family):
    spec = drawn(pair("Categorical", family, n=400))
    for panel in spec["panels"]:
        curves, grid = unpacked(panel["curves"]), np.array(panel["grid"])
        mass = curves.sum(axis=2) if panel["discrete"] else np.trapezoid(curves, grid, axis=2)
        assert np.all(mass <= np.array(spec["weights"]) * 1.03 + 0.01)
        assert np.all(mass.sum(axis=1) > 0.85)
        bars = np.array(panel["heights"]) * np.diff(panel["edges"])
        assert bars.sum() == pytest.approx(1.0, abs=2e-3)


def test_numbers_that_go_far_are_drawn_by_their_logarithms(rng):
    values = np.exp(rng.normal(size=(500, 1)) * 3)
    model = LatentVariableModel(em.Categorical(1), LogNormal())
    fit = trail(model, ArraySource(values), model.start(Batch(values)), 2)
    panel = drawn(fit)["panels"][0]
    assert panel["log"]
    mass = np.trapezoid(unpacked(panel["curves"])[-1, 0], np.log10(panel["grid"]))
    assert mass == pytest.approx(1.0, abs=0.02)
    assert np.array(panel["heights"]) @ np.diff(np.log10(panel["edges"])) == pytest.approx(1.0, abs=2e-3)


def test_markers_grow_with_weights_and_rows_without_have_none(rng):
    values, weights = rng.normal(size=(60, 2)), np.tile([0.0, 1.0, 4.0], 20)
    model = LatentVariableModel(em.Categorical(2), DiagonalGaussian())
    spec = drawn(trail(model, ArraySource(values, weights=weights), model.start(Batch(values)), 1))
    assert spec["sizes"][0] == 0 and spec["sizes"][2] > spec["sizes"][1] > 0
    assert "weighs" in spec["description"] and "All 60 weighted rows" in spec["description"]


def test_the_steps_differ_as_their_parameters_do():
    spec = drawn(pair("Categorical", "FullGaussian"))
    assert spec["centres"][0] != spec["centres"][-1]
    assert spec["responsibilities"]["steps"][0] != spec["responsibilities"]["steps"][-1]


def test_the_picture_of_a_fit_is_the_same_for_the_same_seed():
    fit = pair("Categorical", "FullGaussian", n=900)
    first, again, other = (json.dumps(drawn(fit, seed)) for seed in (3, 3, 4))
    assert first == again != other


def test_many_rows_are_thinned_and_said_to_be():
    spec = drawn(pair("Categorical", "DiagonalGaussian", n=2000))
    assert len(spec["points"][0]) == 600
    assert "600 of 2,000 rows are shown" in spec["description"]


def test_a_long_fit_with_many_components_and_columns_stays_small(rng):
    values = rng.normal(size=(3000, 12))
    model = LatentVariableModel(em.Categorical(12), FullGaussian())
    start = model.start(Batch(values))
    fit = trail(model, ArraySource(values), start, 2)
    assert drawn(replace(fit, steps=fit.steps * 15))["kind"] == "plane"
    wide = rng.integers(0, 9, size=(500, 40)).astype(float)
    for family, kind in ((CategoricalColumns((9,) * 40), "profile"), (Poisson(), "columns")):
        model = LatentVariableModel(em.MarkovChain(6), family)
        fit = trail(model, ArraySource(wide), model.start(Batch(wide)), 2)
        spec = drawn(replace(fit, steps=fit.steps * 15))
        assert spec["parts"][1]["kind"] == kind
        assert "of 40 columns are drawn" in spec["parts"][1]["description"]


def test_missing_entries_are_gaps_and_not_numbers(rng):
    values = rng.normal(size=(80, 2)) + 4 * (np.arange(80) % 2)[:, None]
    values[3, 0], values[5] = np.nan, np.nan
    model = LatentVariableModel(em.Categorical(2), DiagonalGaussian())
    spec = drawn(trail(model, ArraySource(values), model.start(Batch(values, missing=True))))
    points = dict(zip(spec["columns"], spec["points"], strict=True))
    assert points["x0"][3] is None and points["x1"][3] is not None and points["x1"][5] is None


def test_rows_that_share_a_state_are_marked_alike():
    spec = drawn(pair("Categorical", "Plate, of Gaussians"))
    shares = unpacked(spec["responsibilities"])
    np.testing.assert_array_equal(shares[:, :, 0::4], shares[:, :, 3::4])


def test_a_model_without_a_picture_has_its_estimates_drawn():
    spec = drawn(pair("Categorical", "Autoregression"))
    assert spec["names"][0] == "weights[0]"
    assert [len(values) for values in spec["values"]] == [3] * len(spec["names"])
    assert spec["numbers"] == [0, 1, 2]


def test_loadings_and_noise_add_to_the_whole_variance():
    spec = drawn(factor_model())
    table, noise = np.array(spec["table"]), np.array(spec["noise"])
    np.testing.assert_allclose((table**2).sum(axis=2) + noise, 1.0, atol=5e-3)


def test_bands_hold_the_data_of_a_series_without_noise():
    fit = state_space()
    spec = drawn(fit)
    mean = unpacked(spec["panels"][0]["bands"]["mean"])
    model, params, batch = fit.model, fit.steps[-1].parameters, next(iter(fit.source))
    smoothed = model.infer(params, batch)[0].moments[0]
    signal = params.emission.offset + smoothed @ params.emission.loadings.T
    np.testing.assert_allclose(mean[-1], signal[:, 0], atol=2e-3 * np.ptp(signal))
    assert spec["panels"][0]["series"][11] is None


# -- numbers in few characters -----------------------------------------------------------------


def test_packed_numbers_come_back_to_within_half_a_step(rng):
    tables = rng.normal(size=(3, 4, 5)) * 40
    tables[1, 2, 3] = np.nan
    package = json.loads(json.dumps(packed(tables)))
    np.testing.assert_allclose(unpacked(package), tables, atol=np.ptp(tables[np.isfinite(tables)]) / 8000)
    constant = packed(np.full((1, 3), 2.5))
    np.testing.assert_allclose(unpacked(constant), 2.5)


@pytest.mark.parametrize("k", [1, 2, 3, 11])
def test_packed_shares_add_to_one_exactly_and_are_near(k, rng):
    shares = rng.dirichlet(np.full(k, 0.3), size=(2, 50)).transpose(0, 2, 1)
    found = unpacked(packed_shares(shares))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(found, shares, atol=1 / 63)


def test_rounding_keeps_what_an_eye_can_tell_however_far_the_numbers_lie_from_zero(rng):
    x = 1e9 + rng.random(50)
    assert np.ptp(rounded(x)) == pytest.approx(np.ptp(x), rel=1e-3)
    assert rounded([1.0, np.nan]) == [1, None]
    assert rounded(np.zeros(2)) == [0, 0]


def test_rows_are_drawn_across_chunks_in_their_order(rng):
    source = ArraySource(np.arange(1000.0)[:, None], weights=np.arange(1, 1001.0), chunk_rows=70)
    batch = some_rows(source, 100, rng)
    assert len(batch) == 100 == len(np.unique(batch.values)) and np.all(np.diff(batch.values[:, 0]) > 0)
    np.testing.assert_array_equal(batch.weights, batch.values[:, 0] + 1)
    assert batch.values.max() > 700
