"""A summary says every estimate once, in text, HTML and LaTeX, and nothing of the data can break out of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
import zoo
from sklearn.datasets import load_wine

import latentem as em
from latentem.datasets import load_faithful
from latentem.inference import natural
from latentem.latents.categorical import CategoricalParameters
from latentem.summarizing.record import Grid, Summary
from latentem.summarizing.text import WIDTH
from latentem.testing import draw

VOID = {"br", "meta"}


class Balanced(HTMLParser):
    """Collects the text of each cell, and fails where a tag is not closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.cells = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag in ("td", "th", "p", "caption"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data


def parsed(html):
    found = Balanced()
    found.feed(html)
    found.close()
    assert not found.open
    return found.cells


def tabulars(latex):
    """The rows of each tabular, cell by cell."""
    bodies = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end\{tabular\}", latex, re.DOTALL)
    return [(len(columns), re.findall(r"^(.*?) \\\\$", body, re.MULTILINE)) for columns, body in bodies]


@pytest.fixture(scope="module")
def faithful():
    return em.GaussianMixture(n_components=2, random_state=0, tol=1e-8).fit(load_faithful())


@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_a_summary_holds_every_estimate_of_every_family(name):
    specimen, rng = zoo.FAMILIES[name], np.random.default_rng(3)
    family, params = specimen.of(2), specimen.parameters(2)
    batch, _ = draw(family, params, 2, rng, 60, specimen.n_covariates)
    lengths = batch.group_lengths if family.per_group else (None if specimen.independent else [len(batch)])
    source = em.ArraySource(batch.values, lengths=lengths, covariates=batch.covariates)
    model = em.LatentVariableModel(em.Categorical(2), family)
    start = em.ModelParameters(CategoricalParameters(np.full(2, 0.5)), params)
    result = em.fit(model, source, parameters=start, max_iter=2)
    told = result.summary()
    (grid,) = told.grids
    assert all(len(row) == len(grid.headings) == 3 for row in grid.rows)
    shown = {cell for row in grid.rows for cell in row[1:]}
    assert {f"{value:.5g}" for value in natural.entries(result.parameters)} <= shown
    assert all(row[0] in str(told) for row in grid.rows)
    assert sum(cells in {row[0] for row in grid.rows} for cells in parsed(told.to_html())) >= len(grid.rows)
    for columns, rows in tabulars(told.to_latex()):
        assert all(len(re.split(r"(?<!\\)&", row)) == columns for row in rows)


def test_the_numbers_are_those_of_the_result(faithful):
    result = faithful.result_
    facts = dict(em.summary(faithful).facts)
    assert facts["log-likelihood"] == f"{result.log_likelihood:.4f}"
    assert facts["BIC"] == f"{result.bic:.4f}"
    assert facts["free parameters"] == "11"
    assert facts["rows"] == "272"
    assert em.summary(faithful) == result.summary()


def test_errors_stand_beside_their_estimates(faithful):
    result = faithful.result_
    errors = result.standard_errors()
    (grid,) = result.summary(standard_errors=errors, level=0.9).grids
    rows = {row[0]: row[1:] for row in grid.rows}
    i = errors.names.index("emission.means[1,1]")
    low, high = errors.intervals(0.9)[i]
    numbers = (errors.estimates[i], errors.errors[i], low, high)
    assert rows["means[1, waiting]"] == tuple(f"{value:.5g}" for value in numbers)
    assert grid.headings[3] == "90 % from"
    assert "covariances[0, eruptions, waiting]" not in rows  # it repeats the entry below the diagonal
    assert "covariances[0, waiting, eruptions]" in rows


def test_only_matrices_that_are_symmetric_by_nature_are_halved():
    """Transitions or means may be symmetric by chance; a tied covariance may have as many rows as components."""
    tied = zoo.FAMILIES["TiedGaussian"]
    chain = zoo.LATENTS["MarkovChain"]
    states = chain.parameters(2).__class__(np.full(2, 0.5), np.array([[0.9, 0.1], [0.1, 0.9]]))
    model = em.LatentVariableModel(chain.latent(2), tied.of(2))
    batch, _ = draw(tied.of(2), tied.parameters(2), 2, np.random.default_rng(0), 40, 0)
    start = em.ModelParameters(states, tied.parameters(2))
    result = em.fit(model, em.ArraySource(batch.values, lengths=[40]), parameters=start, max_iter=0)
    rows = {row[0]: row[1:] for row in result.summary().grids[0].rows}
    assert rows["to state 0"] == ("0.9", "0.1")
    assert rows["to state 1"] == ("0.1", "0.9")
    covariance = result.parameters.emission.covariance
    assert rows["covariance: x1, x0"] == (f"{covariance[1, 0]:.5g}",) * 2
    assert "covariance: x0, x1" not in rows


def test_an_estimate_without_an_error_has_a_dash_and_a_reason():
    twice = np.repeat([[0.0], [1.0], [2.0], [4.0]], 5, axis=0)
    start = em.ModelParameters(
        CategoricalParameters(np.array([0.5, 0.5])), zoo.FAMILIES["DiagonalGaussian"].parameters(2).__class__(
            np.array([[1.75], [1.75]]), np.full((2, 1), 2.1875)
        )
    )
    model = em.LatentVariableModel(em.Categorical(2), zoo.FAMILIES["DiagonalGaussian"].of(2))
    result = em.fit(model, twice, parameters=start)
    told = result.summary(standard_errors=True)
    assert any("—" in row for row in told.grids[0].rows)
    assert any(note.startswith("No number for") for note in told.notes)


def test_the_certificate_is_told_where_it_was_asked_for(faithful):
    assert not any("Certificate" in note for note in faithful.result_.summary().notes)
    told = faithful.result_.summary(certify=True)
    assert any("Certificate: strict local maximum" in note for note in told.notes)
    certificate = faithful.result_.certify()
    assert dict(told.facts)["missing information"] == f"{certificate.missing_information:.2%}"


def test_factors_are_told_column_by_column_without_what_is_fixed():
    wine = load_wine(as_frame=True).data
    fitted = em.FactorAnalysis(n_components=2).fit(wine)
    (grid,) = em.summary(fitted).grids
    assert [row[0] for row in grid.rows] == list(wine.columns)
    assert grid.headings == ("column", "offset", "loadings 0", "loadings 1", "noise")
    noise = [float(row[-1]) for row in grid.rows]
    np.testing.assert_allclose(noise, fitted.noise_variance_, rtol=1e-4)


def test_a_chain_counts_sequences_and_a_declared_model_has_its_name():
    counts = np.random.default_rng(0).poisson(3, size=(60, 1))
    chain = em.PoissonHMM(2, random_state=0, n_iter=2000).fit(counts, [20, 40]).result_.summary()
    assert dict(chain.facts)["sequences"] == "2"
    assert [row[0] for row in chain.grids[0].rows][:3] == ["first state", "to state 0", "to state 1"]

    @em.latent_variable_model(latent=em.Categorical(2), parameters={"shares": em.Simplex(2)})
    def coin(x, z, theta):
        import jax.numpy as jnp

        return jnp.log(theta.shares[z]) + jnp.where(z == 0, -x, -2 * x)

    declared = em.fit(coin, np.array([0.5, 1.0, 2.0]), random_state=0)
    assert declared.summary().title == "coin, a declared model"


def test_no_line_is_wider_than_the_page_and_points_stand_below_each_other(faithful):
    rows = (("means: x", *["123.25"] * 40), ("w", *["0.5"] * 40))
    many = Grid("Estimates", ("component", *map(str, range(40))), rows)
    told = str(Summary("title", (), "stopped.", (many,), ("a note " * 40,)))
    assert max(map(len, told.splitlines())) <= WIDTH
    assert told.count("123.25") == 40
    text = str(em.summary(faithful))
    points = {line.index(".") for line in text.splitlines() if line.startswith(("means: ", "weight "))}
    assert len(points) == 1


@pytest.mark.parametrize("name", ["</th><script>alert(1)</script>", r"50% of_$x$ & \input{x}"])
def test_names_of_columns_do_no_harm(name, tmp_path):
    values = load_faithful().values
    model = em.GaussianMixture(2, random_state=0).fit(values).result_.model
    result = em.fit(model, em.ArraySource(values, names=[name, "y"]))
    told = result.summary()
    html = told.to_html()
    assert "<script" not in html
    assert any(f"means: {name}" == cell for cell in parsed(html))
    for columns, rows in tabulars(told.to_latex()):
        assert all(len(re.split(r"(?<!\\)&", row)) == columns for row in rows)
    assert r"\input" not in told.to_latex()
    for suffix, mark in ((".html", "<div"), (".tex", r"\toprule"), (".txt", "Status")):
        told.save(tmp_path / f"summary{suffix}")
        assert mark in (tmp_path / f"summary{suffix}").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_sets_it(faithful, tmp_path):
    body = faithful.result_.summary(standard_errors=True, certify=True).to_latex()
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "s.tex").write_text(text, encoding="utf-8")
    done = subprocess.run(["pdflatex", "-halt-on-error", "s.tex"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_is_no_fit_is_refused(faithful):
    with pytest.raises(em.ParameterError, match="fit it first"):
        em.summary(em.GaussianMixture(2))
    with pytest.raises(em.ParameterError, match="between 0 and 1"):
        em.summary(faithful, level=95)
