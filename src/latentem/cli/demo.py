"""`latentem demo`: Old Faithful, fitted and explained."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from .errors import NOT_CONVERGED, quiet_warnings

MOST_COMPONENTS = 6


@click.command(short_help="Old Faithful, fitted and explained.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("latentem-demo"),
    show_default=True,
    help="Where the figure, the model and the data go.",
)
@click.option(
    "--report/--no-report", default=True, show_default=True, help="Write a page that shows what EM did: some seconds."
)
@click.pass_context
def demo(ctx: click.Context, folder: Path, report: bool) -> None:
    """Fit Gaussian mixtures with 1 to 6 components to 272 eruptions of Old Faithful, and explain what came of it."""
    from ..datasets import load_faithful
    from . import tell

    folder.mkdir(parents=True, exist_ok=True)
    table = load_faithful()
    out = tell.console()
    out.print(f"Old Faithful geyser: {len(table)} eruptions, their length and the waiting time to the next (minutes).")
    with quiet_warnings():
        candidates = _fit(table)
    best = tell.choose(candidates, "bic")
    out.print(tell.comparison(candidates, "bic", best))
    out.print(tell.choice_line(candidates, "bic", best, MOST_COMPONENTS))
    for part in tell.description(best, table.names, {}, out.width):
        out.print(part)
    for line in _write(folder, table, candidates, best, report):
        out.print(line)
    if not best.converged or len(candidates) < MOST_COMPONENTS:
        ctx.exit(NOT_CONVERGED)


def _fit(table: Any) -> list[Any]:
    from .fit import fit_all
    from .options import Data

    options: dict[str, Any] = dict.fromkeys(
        ("reg_covar", "dof", "binarize", "init", "covariance", "executor", "workers", "order", "checkpoint")
    )
    options |= {"components": list(range(1, MOST_COMPONENTS + 1)), "criterion": "bic", "quiet": False, "seed": 0}
    options |= {"n_init": 5, "max_iter": 2000, "acceleration": "none", "tol": 1e-10, "certify": False}
    return fit_all("gaussian-mixture", Data(table), options)


def _write(folder: Path, table: Any, candidates: list[Any], best: Any, report: bool) -> list[str]:
    """Write figure, model and data; the lines that say where they are and what to do with them."""
    from ..io.model_files import save
    from ..io.tables import write_table

    figure, model, data = folder / "old-faithful.png", folder / "old-faithful.latentem", folder / "faithful.csv"
    _draw(figure, table, candidates, best)
    save(best.estimator, model, notes={"columns": list(table.names), "levels": {}})
    write_table(data, table)
    page = [_page(folder / "old-faithful.html", candidates, best)] if report else []
    return [
        f"Figure: {figure}",
        f"Model:  {model}",
        f"Data:   {data}",
        *page,
        "",
        "Try next:",
        *(f"  {command}" for command in next_commands(folder, model, data)),
    ]


def _page(path: Path, candidates: list[Any], best: Any) -> str:
    from .report import write_page

    with quiet_warnings():
        write_page(best, candidates, path, title="Old Faithful", seed=0, command="latentem demo --report")
    return f"Report: {path}"


def next_commands(folder: Path, model: Path, data: Path) -> list[str]:
    """Commands that work as they are printed, from where the demo ran."""
    me = own_command()
    model_, data_ = shlex.quote(str(model)), shlex.quote(str(data))
    page = shlex.quote(str(folder / "fit.html"))
    drawn, assigned = shlex.quote(str(folder / "drawn.csv")), shlex.quote(str(folder / "assignments.csv"))
    return [
        f"{me} show {model_}",
        f"{me} predict {model_} {data_} --output {assigned}",
        f"{me} sample {model_} --rows 1000 --output {drawn}",
        f"{me} fit gaussian-mixture {data_} --components 2,3 --covariance full,tied,diag",
        f"{me} report gaussian-mixture {data_} --components 2 --output {page}",
        f"{me} fit gamma-mixture {data_} --components 1..3",
        f"{me} info",
    ]


def own_command() -> str:
    """How this command is called here: by its name where the shell finds it, else by its path."""
    called = Path(sys.argv[0])
    found = shutil.which("latentem")
    if found is not None and called.name.startswith("latentem") and Path(found).resolve() == called.resolve():
        return "latentem"
    if called.name.startswith("latentem") and called.exists():
        return shlex.quote(sys.argv[0])
    return f"{shlex.quote(sys.executable)} -m latentem.cli"


def _draw(path: Path, table: Any, candidates: list[Any], best: Any) -> None:
    from matplotlib.figure import Figure

    from ..plots import draw_ascent, draw_bic, draw_mixture
    from . import tell

    figure = Figure(figsize=(12, 4), layout="constrained")
    fitted, models, ascent = figure.subplots(1, 3)
    draw_mixture(best.estimator, table, fitted).set_title(f"chosen: {best.n_components} components")
    fitted.set_xlabel("length of an eruption (minutes)")
    fitted.set_ylabel("waiting time to the next (minutes)")
    draw_bic(candidates, models).set_title("models by BIC")
    draw_ascent(best.estimator, ascent).set_title(f"its fit: {tell.short_status(best.result)}")
    figure.savefig(path, dpi=120)


