"""The page in a browser: nothing fetched, nothing refused, the slider moves the numbers, everybody can read it."""

from __future__ import annotations

from itertools import pairwise

import pytest

PHONE = {"width": 360, "height": 740}
# Red, green and blue of the paper, added.
BRIGHTNESS = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"


@pytest.fixture(scope="module")
def seen(browser, page):
    """The page opened from its file, with all it asked for and all it complained of."""
    context = browser.new_context(viewport={"width": 1000, "height": 800})
    tab = context.new_page()
    asked, told = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(page.as_uri())
    yield tab, asked, told
    context.close()


def read(tab):
    """ℓ, Q, H and KL as the page shows them."""
    found = {}
    for name in ("l", "q", "h", "kl"):
        text = tab.inner_text(f"#read-{name}")
        found[name] = float(text.replace("−", "-").replace(",", ""))
        found[f"{name} places"] = len(text.partition(".")[2])
    return found


def test_it_asks_for_nothing_and_complains_of_nothing(seen, page):
    _, asked, told = seen
    assert asked == [page.as_uri()]
    assert told == []


def test_arrow_keys_move_the_numbers_and_they_add_up(seen):
    tab, _, told = seen
    tab.focus("#half-step")
    tab.keyboard.press("Home")
    before = tab.get_attribute("#half-step", "aria-valuetext")
    last, shown = int(tab.get_attribute("#half-step", "max")), []
    for _ in range(last):
        tab.keyboard.press("ArrowRight")
        shown.append(read(tab))
    assert tab.get_attribute("#half-step", "aria-valuetext") != before
    for now in shown:
        assert now["q"] + now["h"] + now["kl"] == pytest.approx(now["l"], abs=2.1 * 10 ** -now["l places"])
        assert now["kl"] >= 0
    for earlier, later in pairwise(shown):
        assert later["l"] >= earlier["l"] - 10 ** -min(earlier["l places"], later["l places"])
    assert shown[-1]["l"] > shown[0]["l"]
    assert [now["kl"] == 0 for now in shown[1::2]] == [True] * (last // 2)
    assert told == []


def test_every_view_is_drawn(seen):
    tab, _, told = seen
    values = tab.eval_on_selector_all("#view option", "options => options.map(o => o.value)")
    assert {value.split()[0] for value in values} == {"along", "across", "plane"}
    pictures = set()
    for value in values:
        tab.select_option("#view", value)
        pictures.add(tab.inner_html("#explorer-chart svg.picture"))
        assert "NaN" not in tab.inner_html("#explorer-chart svg.picture")
    assert len(pictures) == len(values)
    tab.select_option("#view", "along")
    assert told == []


def test_buttons_step_and_stop_at_the_ends(seen):
    tab, _, _ = seen
    tab.focus("#half-step")
    tab.keyboard.press("Home")
    assert tab.is_disabled("#step-back")
    tab.click("#step-on")
    assert tab.input_value("#half-step") == "1"
    tab.click("#step-back")
    assert tab.input_value("#half-step") == "0"


def test_every_chart_has_a_name_a_description_and_a_table(seen):
    tab, _, _ = seen
    charts = tab.locator("figure svg[role=img]")
    assert charts.count() >= 5
    for i in range(charts.count()):
        chart = charts.nth(i)
        for attribute in ("aria-labelledby", "aria-describedby"):
            identity = chart.get_attribute(attribute)
            assert tab.eval_on_selector(f"#{identity}", "e => e.textContent").strip()
    for figure in tab.locator("figure").all():
        assert figure.locator("details table tbody tr").count() > 0


@pytest.mark.parametrize("options", [{}, {"color_scheme": "dark"}, {"viewport": PHONE}], ids=str)
def test_no_violation_of_accessibility_is_found(browser, page, options):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    context = browser.new_context(**options, bypass_csp=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    found = axe.Axe().run(tab)
    context.close()
    assert found.violations_count == 0, found.generate_report()


def test_it_fits_a_phone(browser, page):
    context = browser.new_context(viewport=PHONE)
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    smallest = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height))"
    )
    context.close()
    assert smallest >= 9


def test_dark_and_print_are_legible(browser, page):
    context = browser.new_context(color_scheme="dark")
    tab = context.new_page()
    tab.goto(page.as_uri())
    assert tab.evaluate(BRIGHTNESS) < 150
    tab.emulate_media(media="print")
    assert tab.evaluate(BRIGHTNESS) > 700
    assert tab.evaluate("getComputedStyle(document.body).color.match(/\\d+/g)[0]") < "60"
    assert len(tab.pdf()) > 10_000
    context.close()


def test_hostile_names_run_nothing(browser, evil_page):
    context = browser.new_context()
    tab = context.new_page()
    opened, told = [], []
    tab.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(evil_page.as_uri())
    for value in tab.eval_on_selector_all("#view option", "options => options.map(o => o.value)"):
        tab.select_option("#view", value)
    assert opened == [] and told == []
    assert "</script>" in tab.inner_text("#provenance")
    context.close()
