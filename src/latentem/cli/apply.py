"""`latentem predict`, `sample` and `show`: what a fitted model says of other data, draws, and is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from ..data import Source
from ..errors import DataError, ModelFileError
from ..io.formats import known_suffix
from ..io.model_files import load_with_notes
from ..io.tables import Table, read_table, write_table
from ..models.starts import draw_pool
from ..summarizing.labels import weights_of
from .errors import quiet_warnings

FILE = click.Path(path_type=Path, dir_okay=False)
DRAWN_ROWS = 20_000


@click.command(short_help="Each row's component, by a fitted model.")
@click.argument("model_file", type=FILE)
@click.argument("data", type=FILE)
@click.option("-o", "--output", type=FILE, help="Write here (.csv, .tsv, .parquet); by default CSV to the terminal.")
@click.option("--probabilities", is_flag=True, help="The probabilities of all components too.")
@click.option("--groups", metavar="COLUMN", help="Column of keys, equal for the rows of a sequence (*-hmm).")
@click.option("--no-header", is_flag=True, help="The first line of a text file is data; columns are x0, x1, ….")
def predict(
    model_file: Path, data: Path, output: Path | None, probabilities: bool, groups: str | None, no_header: bool
) -> None:
    """For each row of DATA: its most probable component, how probable that is, and the row's log density.

    By a hidden Markov model: its state on the most probable path, and how probable that state is.
    """
    if output is not None:
        known_suffix(output)
    estimator, notes = load_estimator(model_file)
    columns, levels = notes.get("columns"), notes.get("levels", {})
    table = read_table(data, columns=columns, levels=levels, header=not no_header)
    if not len(table):
        raise DataError(f"{data} has no rows")
    if groups is not None and not hasattr(estimator, "transmat_"):
        raise click.UsageError(f"--groups divides rows into sequences, and {type(estimator).__name__} has none")
    keys = None
    if groups is not None:
        keys = read_table(data, columns=[groups], categories=[groups], header=not no_header).column(groups)
    with quiet_warnings():
        put(assignments(estimator, known_rows(estimator, table), probabilities, keys), output)


@click.command(short_help="Draw rows from a fitted model.")
@click.argument("model_file", type=FILE)
@click.option("-n", "--rows", type=click.IntRange(1), default=100, show_default=True, help="How many rows to draw.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True)
@click.option("-o", "--output", type=FILE, help="Write here (.csv, .tsv, .parquet); by default CSV to the terminal.")
def sample(model_file: Path, rows: int, seed: int, output: Path | None) -> None:
    """Draw rows from a fitted model, each with the component it came from."""
    if output is not None:
        known_suffix(output)
    estimator, notes = load_estimator(model_file)
    values, components = estimator.set_params(random_state=seed).sample(rows)
    names = notes.get("columns") or [f"x{j}" for j in range(values.shape[1])]
    levels = notes.get("levels", {})
    drawn = {name: _spelled(values[:, j], levels.get(name)) for j, name in enumerate(names)}
    put({**drawn, _free_name("component", names): components}, output)


@click.command(short_help="Print what a model file holds.")
@click.argument("model_file", type=FILE)
@click.option("--all", "everything", is_flag=True, help="All estimates, however many.")
def show(model_file: Path, everything: bool) -> None:
    """Print what a model file holds: the model, its estimates, and how far its fit came."""
    from . import tell

    estimator, notes = load_estimator(model_file)
    out = tell.console()
    candidate = tell.Candidate("", len(weights_of(estimator.result_)), estimator)
    names = notes.get("columns") or [f"x{j}" for j in range(estimator.n_features_in_)]
    most = None if everything else tell.MOST_LINES
    for part in tell.description(candidate, names, notes.get("levels", {}), out.width, most):
        out.print(part)


def load_estimator(path: Path) -> tuple[Any, dict[str, Any]]:
    """The estimator in a model file, and the notes beside it."""
    estimator, notes = load_with_notes(path)
    if not hasattr(estimator, "result_"):
        raise ModelFileError(f"{path} holds a {type(estimator).__name__}, no fitted estimator; load it from Python")
    if "columns" not in notes and hasattr(estimator, "feature_names_in_"):
        notes["columns"] = [str(name) for name in estimator.feature_names_in_]
    return estimator, notes


def assignments(estimator: Any, rows: Table | Source, probabilities: bool, groups: Any = None) -> dict[str, Any]:
    """The columns that `predict` and `fit --assignments` write; `groups` are keys of the sequences of a chain."""
    if hasattr(estimator, "transmat_"):
        r, component = estimator.predict_proba(rows, groups=groups), estimator.predict(rows, groups=groups)
        found = {"state": component, "probability": r[np.arange(len(r)), component]}
    else:
        r = estimator.predict_proba(rows)
        component = r.argmax(axis=1)
        found = {
            "component": component,
            "probability": r[np.arange(len(r)), component],
            "log_density": estimator.score_samples(rows),
        }
    if probabilities:
        found.update({f"probability_{k}": r[:, k] for k in range(r.shape[1])})
    return found


def known_rows(estimator: Any, table: Table) -> Table:
    """The table, its names of columns left out where the model was fitted without any."""
    if hasattr(estimator, "feature_names_in_"):
        return table
    return Table(tuple(f"x{j}" for j in range(len(table.names))), table.values)


def put(columns: Mapping[str, Any], output: Path | None) -> None:
    """Write to a file, or as CSV to standard output."""
    if output is not None:
        write_table(output, columns)
        return
    import pyarrow as pa
    from pyarrow import csv

    sys.stdout.flush()
    csv.write_csv(pa.table(dict(columns)), sys.stdout.buffer)


def draw(estimator: Any, rows: Table | Source, path: Path) -> None:
    """The picture of a fit over the first two columns (or the only one); of a source over some of its rows."""
    from matplotlib.figure import Figure

    from ..plots import draw_mixture

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    if isinstance(rows, Source):
        rows = Table(rows.names, draw_pool(rows, np.random.default_rng(0), DRAWN_ROWS).values)
    draw_mixture(estimator, rows, figure.add_subplot())
    figure.savefig(path, dpi=150)


def _spelled(column: Any, levels: Any) -> Any:
    """Categories by their names where the column has some, and the model knows their codes only."""
    return column if levels is None or isinstance(column[0], str) else [levels[int(code)] for code in column]


def _free_name(name: str, taken: Any) -> str:
    return name if name not in taken else _free_name(f"{name}_", taken)
