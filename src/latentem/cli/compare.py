"""`latentem compare`: which method would be best on a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .errors import quiet_warnings
from .fit import FILE, SEQUENTIAL
from .options import Names, read_data
from .registry import CATEGORICAL, ModelName, build, is_sequential


@click.command(short_help="Compare EM, its accelerations and direct optimizers.")
@click.argument("model", type=ModelName())
@click.argument("data", type=FILE)
@click.option("-k", "--components", type=click.IntRange(1), default=2, show_default=True)
@click.option("--columns", type=Names(), help="Columns of observations, separated by commas; all by default.")
@click.option("--weights", metavar="COLUMN", help="Column of row weights.")
@click.option("--groups", metavar="COLUMN", help="Column of keys, equal for the rows of a sequence (*-hmm).")
@click.option("--no-header", is_flag=True, help="The first line of a text file is data; columns are x0, x1, ….")
@click.option("--starts", type=click.IntRange(1), default=3, show_default=True, help="Every method begins at each.")
@click.option("--methods", type=Names(), help="Which, separated by commas; all by default.")
@click.option("--tol", type=click.FloatRange(0), default=1e-6, show_default=True, help="Remaining gain to stop at.")
@click.option("--max-iter", type=click.IntRange(1), default=2000, show_default=True, help="Most passes for each.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the random starts.")
@click.option("--figure", type=FILE, help="Draw the gap against the passes (.png, .pdf, .svg).")
def compare(model: str, data: Path, **options: Any) -> None:
    """Fit MODEL to the table DATA (.csv, .tsv, .parquet) by every method from the same starts.

    A table says how often each arrived at the best log-likelihood, in how many passes and seconds, and how often it
    fell or failed; and what that means for these data.

    \b
    latentem compare gaussian-mixture data.csv --components 3 --figure methods.png
    """
    content = read_data(
        data,
        columns=options["columns"],
        weights=options["weights"],
        groups=options["groups"],
        categories="text" if model in CATEGORICAL else (),
        header=not options["no_header"],
        stream=False,
        labels=None,
    )
    with quiet_warnings():
        found = _compared(model, content, options)
    click.echo(str(found))
    if options["figure"] is not None:
        _draw(found, options["figure"])
        click.echo(f"Figure: {options['figure']}")


def _compared(model: str, content: Any, options: dict[str, Any]) -> Any:
    """An estimator says what the model and the rows are; the methods take it from there."""
    from ..comparing import compare as compare_methods

    sequential = is_sequential(model)
    settings = {"n_components": options["components"], "max_iter": 0, "random_state": options["seed"]}
    if sequential:
        settings = {SEQUENTIAL.get(name, name): value for name, value in settings.items()}
    estimator = build(model, settings)
    beside = {"groups": content.groups} if sequential else {"sample_weight": content.weights}
    estimator.fit(content.rows, **beside)
    result = estimator.result_
    chosen = {} if options["methods"] is None else {"methods": options["methods"]}
    return compare_methods(
        result.model,
        result.source,
        n_starts=options["starts"],
        tol=options["tol"],
        max_iter=options["max_iter"],
        random_state=options["seed"],
        **chosen,
    )


def _draw(found: Any, path: Path) -> None:
    from matplotlib.figure import Figure

    from ..plots import draw_comparison

    figure = Figure(figsize=(8.0, 4.8), layout="constrained")
    draw_comparison(found, figure.add_subplot())
    figure.savefig(path, dpi=150)
