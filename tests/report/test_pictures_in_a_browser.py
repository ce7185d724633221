"""Every kind of picture is drawn: without complaint, and otherwise at the last step than at the first."""

from __future__ import annotations

import re
from importlib.resources import files

import numpy as np
import pytest
from report.picture_cases import factor_model, pair, state_space, two_normals

from latentem.report.numbers import embedded
from latentem.report.pictures import picture_of
from latentem.report.rendering import PICTURES, STYLES

CASES = {
    "plane": lambda: pair("Categorical", "FullGaussian"),
    "directions": lambda: pair("Categorical", "VonMisesFisher"),
    "columns": lambda: pair("Categorical", "Product"),
    "profile": lambda: pair("Categorical", "CategoricalColumns"),
    "regression": lambda: pair("Categorical", "PoissonRegression"),
    "states": lambda: pair("MarkovChain", "Gamma"),
    "covariates": lambda: pair("CovariateMarkovChain", "FullGaussian"),
    "smoothed": state_space,
    "loadings": factor_model,
    "parameters": lambda: pair("Categorical", "Autoregression"),
    "declared": two_normals,
}


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    """A page with the scripts of the pictures, and all it complains of."""
    specs = {name: picture_of(make(), np.random.default_rng(0)) for name, make in CASES.items()}
    page = files("latentem.report") / "page"
    style, script = ("".join((page / name).read_text(encoding="utf-8") for name in names)
                     for names in (STYLES, ("chart.js", *PICTURES)))
    path = tmp_path_factory.mktemp("pictures") / "page.html"
    path.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style><div id="picture"></div>'
        f"<script>const specs = {embedded(specs)};</script><script>{script}</script>",
        encoding="utf-8",
    )
    tab, told = browser.new_page(viewport={"width": 900, "height": 800}), []
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(path.as_uri())
    yield tab, told
    tab.close()


def draw(tab, name, step):
    tab.evaluate("([name, step]) => drawPicture(specs[name], step, document.getElementById('picture'))", [name, step])
    found = tab.eval_on_selector_all("#picture svg.picture", "all => all.map(one => one.innerHTML)")
    return [re.sub(r"(clip|chart)-\d+", "", one) for one in found]


@pytest.mark.parametrize("name", CASES)
def test_it_is_drawn_and_follows_the_steps(opened, name):
    tab, told = opened
    first = draw(tab, name, 0)
    last = draw(tab, name, 2)
    assert told == []
    assert len(first) == len(last) > 0
    assert all("NaN" not in one and "undefined" not in one for one in first + last)
    assert all(a != b for a, b in zip(first, last, strict=True))
    assert draw(tab, name, 0) == first


def test_nothing_leaves_the_frame(opened):
    tab, _ = opened
    outside = """all => all.flatMap(one => {
        const frame = one.getBoundingClientRect();
        return [...one.querySelectorAll("text")].filter(text => {
            const box = text.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1 || box.bottom > frame.bottom + 1;
        }).map(text => text.textContent);
    })"""
    for width in (900, 390):
        tab.set_viewport_size({"width": width, "height": 800})
        for name in CASES:
            draw(tab, name, 2)
            assert (name, tab.eval_on_selector_all("#picture svg.picture", outside)) == (name, [])


def test_other_columns_can_be_chosen(opened):
    tab, told = opened
    draw(tab, "smoothed", 0)
    assert tab.query_selector_all("#picture select") == []
    draw(tab, "states", 1)
    before = tab.inner_html("#picture svg.picture >> nth=0")
    tab.select_option("#picture select >> nth=0", "1")
    assert tab.inner_html("#picture svg.picture >> nth=0") != before
    assert told == []
