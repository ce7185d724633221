"""The page as a file: its size, its sections, what it lets in, and what it says where something is missing."""

from __future__ import annotations

import json
import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import latentem as em
from latentem.errors import ParameterError
from latentem.report import write_report
from latentem.report.rendering import fingerprint

EVIL = "</script><script>alert(1)</script>"
SECTIONS = ["verdict", "explorer", "ascent", "limit", "data", "estimates", "methods", "provenance"]


class Outline(HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.raw, self._open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs)) if tag in ("script", "style") else None

    def handle_data(self, data):
        if self._open is not None:
            self.raw.append((*self._open, data))
            self._open = None


@pytest.fixture(scope="module")
def outline(page):
    return Outline(page.read_text(encoding="utf-8"))


def data_of(outline):
    return json.loads(next(text for _, attributes, text in outline.raw if attributes.get("type") == "application/json"))


def test_the_sections_come_in_order(outline):
    assert [a["id"] for tag, a in outline.tags if tag == "section"] == SECTIONS


def test_it_is_small_and_whole(page):
    assert page.stat().st_size < 300_000


def test_it_refers_to_nothing_outside(outline):
    for tag, attributes in outline.tags:
        assert "src" not in attributes and "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#"), tag
    assert "link" not in {tag for tag, _ in outline.tags}


def test_its_policy_admits_its_own_script_and_styles_only(outline):
    policy = next(a["content"] for tag, a in outline.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy and "http" not in policy
    for tag, attributes, text in outline.raw:
        if attributes.get("type") != "application/json":
            assert f"'{fingerprint(text)}'" in policy, tag


def test_hostile_names_stay_text(evil_page):
    text = evil_page.read_text(encoding="utf-8")
    assert EVIL not in text
    assert "\u2028" not in re.search(r'id="numbers">(.*?)</script>', text, re.DOTALL)[1]
    found = Outline(text)
    assert [tag for tag, _ in found.tags].count("script") == 2
    assert "&lt;b&gt;" in text and "&amp;&lt;b&gt;" in text
    assert "49" not in re.search(r"<h1>(.*?)</h1>", text)[1]


def test_tables_have_their_numbers_without_scripts(page, results):
    text = page.read_text(encoding="utf-8")
    assert "eruptions" in text and "std. error" in text
    assert "→ two (this report)" in text
    assert re.search(r"[0-9a-f]{64}", text)


def test_a_result_without_data_says_what_is_missing(results, tmp_path):
    bare = pickle.loads(pickle.dumps(results("mixture")))
    text = write_report(bare, tmp_path / "bare.html").read_text(encoding="utf-8")
    assert text.count("Not shown.") == 5
    assert "The fit has no data with it" in text


def test_another_kind_of_q_is_told(results, tmp_path):
    text = write_report(results("local"), tmp_path / "local.html", compare=False, seconds=5).read_text(encoding="utf-8")
    assert "There is no bound to draw as a function" in text
    assert "as was asked for" in text


def test_little_time_makes_a_smaller_page_that_says_so(results, tmp_path):
    path = results("mixture").report(tmp_path / "quick.html", compare=False, seconds=0.05)
    data = data_of(Outline(path.read_text(encoding="utf-8")))
    assert data["explorer"]["along"][0] is not None or data["explorer"]["planes"] == []
    assert path.stat().st_size < 200_000


def test_large_data_leave_the_page_small(tmp_path):
    x = np.random.default_rng(0).normal(size=(20_000, 3)).round(3)
    result = em.GaussianMixture(2, random_state=0, max_iter=5, tol=10.0).fit(x).result_
    assert write_report(result, tmp_path / "large.html", seconds=3, compare=False).stat().st_size < 1_000_000


def test_time_must_be_positive(results, tmp_path):
    with pytest.raises(ParameterError, match="seconds must be above 0"):
        write_report(results("mixture"), tmp_path / "no.html", seconds=0)
    assert not list(tmp_path.iterdir())
