"""`latentem fit`: one model, or several side by side, the best of them kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..acceleration import SCHEMES
from ..result import Status
from .errors import NOT_CONVERGED, quiet_warnings
from .options import Components, Data, Names, NumberOr, is_streamed, make_executor, read_data
from .registry import CATEGORICAL, ModelName, build, is_sequential
from .tell import Candidate, choose

CRITERIA = ("bic", "aic", "icl")
COVARIANCES = ("full", "tied", "diag", "spherical")
ACCELERATIONS = ("none", *SCHEMES)
STARTS = ("kmeans", "k-means++", "random", "random_from_data", "small-em")
MODEL_SUFFIX = ".latentem"
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Fit a model to a table.")
@click.argument("model", type=ModelName())
@click.argument("data", type=FILE)
@click.option("-k", "--components", type=Components(), default="1", help="3, or 1..9, or 2,4,8: all are fitted.")
@click.option("--criterion", type=click.Choice(CRITERIA), default="bic", show_default=True, help="What chooses.")
@click.option("--columns", type=Names(), help="Columns of observations, separated by commas; all by default.")
@click.option("--weights", metavar="COLUMN", help="Column of row weights.")
@click.option("--labels", metavar="COLUMN", help="Column of known components: 0, 1, …; empty or -1 where unknown.")
@click.option("--groups", metavar="COLUMN", help="Column of keys, equal for the rows of a sequence (*-hmm).")
@click.option("--categories", type=Names(), help="Columns to read as categories; 'text': every column of text.")
@click.option("--no-header", is_flag=True, help="The first line of a text file is data; columns are x0, x1, ….")
@click.option("--stream/--no-stream", default=None, help="Read a .parquet file at every pass; by default above 1 GB.")
@click.option("--covariance", type=Names(), help="full, tied, diag, spherical: one, or several to compare.")
@click.option("--reg-covar", type=NumberOr("auto"), help="Floor under variances; auto: 1e-6 of each column's.")
@click.option("--dof", type=NumberOr("free", "tied"), help="Degrees of freedom of Student's t.")
@click.option("--binarize", type=float, help="Numbers above it count as 1 (Bernoulli).")
@click.option("--init", type=click.Choice(STARTS), help="How starting values are found.")
@click.option("--n-init", type=click.IntRange(1), help="Number of starts; the best is kept.")
@click.option("--tol", type=click.FloatRange(0), default=1e-6, show_default=True, help="Remaining gain a row.")
@click.option("--max-iter", type=click.IntRange(0), default=1000, show_default=True, help="Most passes for a start.")
@click.option("--order", type=click.Choice(["weight", "mean"]), help="Order of the components.")
@click.option("--acceleration", type=click.Choice(ACCELERATIONS), default="squarem", show_default=True)
@click.option("--executor", type=click.Choice(["serial", "threads", "processes"]), help="Never changes a result.")
@click.option("--workers", type=click.IntRange(1), help="Number of threads or processes.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the random starts.")
@click.option("--checkpoint", type=FILE, help="Keep the state of the fit here, and go on from it if it is there.")
@click.option("--checkpoint-every", type=click.FloatRange(0), default=60.0, show_default=True, metavar="SECONDS")
@click.option("-o", "--output", type=FILE, help="Write the model here (name.latentem).")
@click.option("--assignments", type=FILE, help="Write each row's component here (.csv, .tsv, .parquet).")
@click.option("--probabilities", is_flag=True, help="Write the probabilities of all components too.")
@click.option("--figure", type=FILE, help="Draw the model over the first two columns (.png, .pdf, .svg).")
@click.option("--report", type=FILE, help="Write a page that shows what EM did (.html); see latentem report.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def fit(ctx: click.Context, model: str, data: Path, **options: Any) -> None:
    """Fit MODEL to the table DATA (.csv, .tsv, .parquet).

    Models: gaussian-mixture, student-t-mixture, poisson-mixture, latent-class-analysis, gaussian-hmm and others; a
    wrong name lists all. Of several, the one with the smallest criterion is kept. Exit codes: 0 fine, 1 fitted but not
    converged or interrupted, 2 bad input.

    \b
    latentem fit gaussian-mixture data.parquet --components 1..9 --output model.latentem
    """
    _check_outputs(options)
    content = read(model, data, options)
    with quiet_warnings():
        candidates = fit_all(model, content, options)
        best = choose(candidates, options["criterion"])
        _write(best, content, options)
        if options["report"] is not None:
            from .report import spelled, write_page

            write_page(best, candidates, options["report"], seed=options["seed"], command=spelled(ctx))
    if not options["quiet"]:
        _print(candidates, best, content, options)
    if not best.converged or len(candidates) < n_asked(options):
        ctx.exit(NOT_CONVERGED)


def read(model: str, data: Path, options: dict[str, Any]) -> Data:
    """The table that the options ask for, in memory or streamed."""
    _check_sequences(model, options)
    categories = _categories(model, options["categories"])
    return read_data(
        data,
        columns=options["columns"],
        weights=options["weights"],
        labels=options["labels"],
        groups=options["groups"],
        categories=categories,
        header=not options["no_header"],
        stream=is_streamed(data, options["stream"], _needs_memory(model, categories, options)),
    )


def fit_all(model: str, content: Data, options: dict[str, Any]) -> list[Candidate]:
    """Every model that the options ask for, fitted; Ctrl-C ends it with the models at hand."""
    from .progress import Meter, shown

    meter = Meter()
    asked = list(_asked(model, options))
    if options["checkpoint"] is not None and len(asked) > 1:
        raise click.UsageError(f"--checkpoint keeps one fit, but these options ask for {len(asked)}")
    with shown(meter, len(asked), options["quiet"]) as advance:
        fitted: list[Candidate] = []
        for label, settings in asked:
            try:
                fitted.append(_fit_one(model, label, settings, content, options, meter))
            except KeyboardInterrupt:
                if not fitted:
                    raise
                break
            advance()
            if fitted[-1].result.status is Status.INTERRUPTED:
                break
    return fitted


def n_asked(options: dict[str, Any]) -> int:
    """How many models the options ask for."""
    return len(options["components"]) * len(options["covariance"] or (None,))


def _asked(model: str, options: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A label and the constructor's options for each model to fit."""
    common = {
        "reg_covar": options["reg_covar"],
        "dof": options["dof"],
        "binarize": options["binarize"],
        "init_params": options["init"],
        "n_init": options["n_init"],
        "tol": options["tol"],
        "max_iter": options["max_iter"],
        "order": options["order"],
        "acceleration": None if options["acceleration"] == "none" else options["acceleration"],
        "random_state": options["seed"],
    }
    given = {name: value for name, value in common.items() if value is not None}
    for covariance in options["covariance"] or (None,):
        kind = {} if covariance is None else {"covariance_type": covariance}
        for k in options["components"]:
            yield covariance or model, {"n_components": k, **given, **kind}


# What hidden Markov models call options; their `tol` is in log-likelihood, not in that of a row.
SEQUENTIAL = {"max_iter": "n_iter", "init_params": "init"}


def _sequential(settings: dict[str, Any], total: float) -> dict[str, Any]:
    renamed = {SEQUENTIAL.get(name, name): value for name, value in settings.items()}
    return {**renamed, "tol": renamed["tol"] * total}


def _fit_one(
    model: str, label: str, settings: dict[str, Any], content: Data, options: dict[str, Any], meter: Any
) -> Candidate:
    """One model; the executor that watches it is not kept in it."""
    from ..execution.opening import as_executor
    from .progress import Watched

    sequential = is_sequential(model)
    estimator = build(model, _sequential(settings, content.total) if sequential else settings)
    k = settings["n_components"]
    meter.begin(f"{label}, {k} component{'s' * (k > 1)}", settings["tol"] * content.total, settings["max_iter"])
    asked = make_executor(options["executor"], options["workers"])
    executor = as_executor(asked)
    try:
        estimator.set_params(executor=Watched(executor, meter))
        beside = {"groups": content.groups} if sequential else {"sample_weight": content.weights}
        estimator.fit(content.rows, labels=content.labels, checkpoint=_keeper(options), **beside)
    finally:
        if hasattr(executor, "close"):
            executor.close()
    estimator.set_params(executor=asked)
    icl = estimator.icl(content.rows, content.weights) if options["criterion"] == "icl" else None
    return Candidate(label, k, estimator, icl)


def _keeper(options: dict[str, Any]) -> Any:
    from ..io.checkpoints import Checkpoint

    path = options["checkpoint"]
    return None if path is None else Checkpoint(path, every_seconds=options["checkpoint_every"])


# -- what comes out ----------------------------------------------------------------------------


def _check_outputs(options: dict[str, Any]) -> None:
    """Before anything is fitted: whether the results can be written where they are asked for."""
    from ..io.formats import known_suffix

    if options["assignments"] is not None:
        known_suffix(options["assignments"])
    elif options["probabilities"]:
        raise click.UsageError("--probabilities says what to write to the file of --assignments; give that too")
    if options["figure"] is not None and options["figure"].suffix.lower() not in (".png", ".pdf", ".svg"):
        raise click.UsageError(f"--figure {options['figure']}: expected a file named *.png, *.pdf or *.svg")
    if options["output"] is not None and options["output"].suffix != MODEL_SUFFIX:
        raise click.UsageError(f"--output {options['output']}: expected a file named *{MODEL_SUFFIX}")
    if options["report"] is not None:
        from .report import check_page

        check_page("report", options["report"])
    for name in ("output", "assignments", "figure", "checkpoint"):
        path: Path | None = options[name]
        if path is not None and not path.parent.is_dir():
            raise click.UsageError(f"--{name} {path}: there is no folder {path.parent}")


def _check_sequences(model: str, options: dict[str, Any]) -> None:
    """What only hidden Markov models have, and what they have not."""
    if not is_sequential(model):
        if options["groups"] is not None:
            raise click.UsageError(f"--groups divides rows into sequences; {model} takes each row for itself")
        return
    for name, why in (("weights", "weigh whole sequences, not rows"), ("figure", "are not drawn over two columns")):
        if options[name] is not None:
            raise click.UsageError(f"{model} has no --{name}: hidden Markov models {why}")
    if options["criterion"] == "icl":
        raise click.UsageError(f"{model} has no ICL; choose by bic or aic")


def _categories(model: str, given: tuple[str, ...] | None) -> tuple[str, ...] | str:
    if given is None:
        return "text" if model in CATEGORICAL else ()
    return "text" if given == ("text",) else given


def _needs_memory(model: str, categories: tuple[str, ...] | str, options: dict[str, Any]) -> str | None:
    """What, of the things asked for, needs all rows in memory."""
    if model in CATEGORICAL or is_sequential(model):
        return model
    if categories:
        return "--categories"
    return None if options["binarize"] is None else "--binarize"


def _write(best: Candidate, content: Data, options: dict[str, Any]) -> None:
    from ..io.model_files import save
    from ..io.tables import write_table
    from .apply import assignments, draw

    if options["output"] is not None:
        levels = {name: list(known) for name, known in content.levels.items()}
        save(best.estimator, options["output"], notes={"columns": list(content.names), "levels": levels})
    if options["assignments"] is not None:
        columns = assignments(best.estimator, content.rows, options["probabilities"], content.groups)
        write_table(options["assignments"], columns)
    if options["figure"] is not None:
        draw(best.estimator, content.rows, options["figure"])


def _print(candidates: list[Candidate], best: Candidate, content: Data, options: dict[str, Any]) -> None:
    from . import tell

    out = tell.console()
    if n_asked(options) > 1:
        out.print(tell.comparison(candidates, options["criterion"], best))
        out.print(tell.choice_line(candidates, options["criterion"], best, n_asked(options)))
    for part in tell.description(best, content.names, content.levels, out.width):
        out.print(part)
    titles = {"output": "Model", "assignments": "Assignments", "figure": "Figure", "report": "Report"}
    for name, title in titles.items():
        if options[name] is not None:
            out.print(f"{title}: {options[name]}")


