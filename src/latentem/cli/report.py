"""`latentem report`: fit, and write the page that shows what EM did; also what `--report` of other commands does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .errors import NOT_CONVERGED, quiet_warnings
from .fit import FILE, fit, fit_all, n_asked, read
from .tell import Candidate, choice_line, choose, console

PAGE_SUFFIXES = (".html", ".htm")
# What `latentem fit` writes and prints, and how it keeps its state, is no concern of the page.
NOT_SHARED = (
    "output", "assignments", "probabilities", "figure", "report", "quiet", "checkpoint", "checkpoint_every", "stream"
)


@click.command(short_help="Fit, and write a page that shows what EM did.")
@click.option("-o", "--output", type=FILE, default=Path("fit.html"), show_default=True, help="The page (name.html).")
@click.option("--title", help="Of the page; the model's name by default.")
@click.option("--compare/--no-compare", default=True, show_default=True, help="Run other methods from the same start.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="To measure.")
@click.pass_context
def report(
    ctx: click.Context, model: str, data: Path, output: Path, title: str | None, compare: bool, seconds: float,
    **options: Any,
) -> None:
    """Fit MODEL to the table DATA as `latentem fit` does, and write one page of HTML that needs nothing else.

    It shows the log-likelihood and its lower bound at every half-step of EM, how far the limit is, the data with the
    components, estimates with standard errors, and what other methods would have done.

    \b
    latentem report gaussian-mixture data.csv --components 2 --output fit.html
    """
    check_page("output", output)
    whole: dict[str, Any] = dict.fromkeys(NOT_SHARED) | options
    content = read(model, data, whole)
    with quiet_warnings():
        candidates = fit_all(model, content, whole)
        best = choose(candidates, whole["criterion"])
        told = {"title": title, "compare": compare, "seconds": seconds, "seed": whole["seed"], "command": spelled(ctx)}
        write_page(best, candidates, output, **told)
    if n_asked(whole) > 1:
        console().print(choice_line(candidates, whole["criterion"], best, n_asked(whole)))
    click.echo(f"Report: {output}")
    if not best.converged or len(candidates) < n_asked(whole):
        ctx.exit(NOT_CONVERGED)


report.params = [param for param in fit.params if param.name not in NOT_SHARED] + report.params


def check_page(option: str, path: Path) -> None:
    """Before anything is fitted: whether the page can be written there."""
    if path.suffix.lower() not in PAGE_SUFFIXES:
        raise click.UsageError(f"--{option} {path}: expected a file named *.html")
    if not path.parent.is_dir():
        raise click.UsageError(f"--{option} {path}: there is no folder {path.parent}")


def write_page(best: Candidate, candidates: Sequence[Candidate], path: Path, **options: Any) -> None:
    """The report of the chosen model, beside those that it was chosen from."""
    from ..report import write_report

    several = {str(one): one.result for one in candidates} if len(candidates) > 1 else ()
    write_report(best.result, path, candidates=several, **options)


def spelled(ctx: click.Context) -> str:
    """The command as it was given, every option by its long name."""
    return shlex.join(["latentem", str(ctx.info_name), *_spelled(ctx)])


def _spelled(ctx: click.Context) -> Iterator[str]:
    arguments = [param for param in ctx.command.params if isinstance(param, click.Argument)]
    yield from (str(ctx.params[str(param.name)]) for param in arguments)
    for param in ctx.command.params:
        if ctx.get_parameter_source(str(param.name)) is not ParameterSource.COMMANDLINE or param in arguments:
            continue
        value = ctx.params[str(param.name)]
        if isinstance(value, bool):
            yield param.opts[-1] if value else param.secondary_opts[-1]
        else:
            yield param.opts[-1]
            yield ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
