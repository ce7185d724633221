"""Where a page comes from: versions, data, options, and the code that would make it again."""

from __future__ import annotations

import hashlib
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..data import Batch, Source
from ..result import EMResult

LIBRARIES = ("latentem", "numpy", "scipy", "jax", "scikit-learn")


def versions() -> list[tuple[str, str]]:
    """Python and the libraries that are installed."""
    found = [("Python", platform.python_version()), ("system", f"{platform.system()} {platform.machine()}")]
    for name in LIBRARIES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            if name == "latentem":
                found.append((name, sys.modules["latentem"].__version__))
    return found


def data_hash(source: Source) -> str:
    """SHA-256 of the rows as they were fitted: values, weights, known states, covariates, and lengths of groups."""
    found = hashlib.sha256()
    for batch in source:
        for part in _parts(batch):
            found.update(b"-" if part is None else np.ascontiguousarray(part).tobytes())
    return found.hexdigest()


def _parts(batch: Batch) -> tuple[Any, ...]:
    return batch.values, batch.weights, batch.labels, batch.covariates, batch.offsets


def provenance(
    result: EMResult, *, seed: Any = None, command: str | None = None, options: dict[str, Any]
) -> dict[str, Any]:
    """What the last section of the page shows."""
    source = result.source
    return {
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": versions(),
        "model": repr(result.model),
        "algorithm": result.algorithm,
        "rows": result.n_rows,
        "columns": [] if source is None else list(source.names),
        "hash": None if source is None else data_hash(source),
        "seed": None if seed is None else str(seed),
        "options": [(name, str(value)) for name, value in options.items()],
        "code": command or _code(result, seed),
    }


def _code(result: EMResult, seed: Any) -> str:
    state = "" if seed is None else f", random_state={seed!r}"
    return (
        "import latentem as em\n\n"
        f"# model: {type(result.model).__name__}, as above; x: the rows with the hash above\n"
        f"result = em.fit(model, x{state})\n"
        'result.report("fit.html")'
    )
