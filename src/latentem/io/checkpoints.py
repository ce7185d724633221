"""Checkpoints: all that a fit needs to go on where it was, in a file of the model format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from ..errors import ModelFileError
from ..layout import Layout
from ..result import Iteration
from .model_files import load, save


class Checkpoint:
    """A callback that writes the iterations of a fit to a file now and then.

    A fit that was killed at any point and goes on from its file ends at the same bits as one that was not.  The file
    is replaced as a whole, so there is always a good one.

    Parameters
    ----------
    path : path
    every_seconds : float
        Write when so much time has passed since the last writing; 0 writes every iteration.
    types : classes
        Families, parameters and statistics of your own that the fit holds.

    Examples
    --------
    >>> checkpoint = Checkpoint("fit.checkpoint")                        # doctest: +SKIP
    >>> latentem.fit(model, data, checkpoint=checkpoint)                 # doctest: +SKIP
    """

    def __init__(
        self, path: str | os.PathLike[str], *, every_seconds: float = 60.0, types: Iterable[type] = ()
    ) -> None:
        if not every_seconds >= 0:
            raise ModelFileError(f"every_seconds must be at least 0, got {every_seconds}")
        self.path = Path(path)
        self.every_seconds = float(every_seconds)
        self.types = tuple(types)
        self._model: Any = None
        self._written = monotonic() - self.every_seconds

    def __call__(self, iteration: Iteration) -> None:
        """Write `iteration` if it is time to."""
        if monotonic() - self._written >= self.every_seconds:
            self.write(iteration)

    def write(self, iteration: Iteration) -> None:
        """Write `iteration` now."""
        save(iteration if self._model is None else (iteration, self._model), self.path, types=self.types)
        self._written = monotonic()

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.path.exists()

    def prepared(self, model: Any, layout: Layout, prepare: Callable[[], Any]) -> Any:
        """A declared model as the fit in the file had it, or as `prepare` makes it where there is no file yet.

        What it learnt of the data is written beside every iteration, since its statistics refer to that: a fit that
        goes on from another start would have learnt something else.

        Parameters
        ----------
        model : DeclaredModel
        layout : Layout
            What a row of the data is.
        prepare : callable

        Raises
        ------
        ModelFileError
            The file belongs to another model or to data with other columns, or is no checkpoint.
        """
        kept = self._read(model)[1] if self.exists() else None
        if kept is None:
            self._model = prepare()
            return self._model
        if kept.layout is None or kept.layout.pieces != layout.pieces:
            raise ModelFileError(
                f"{self.path} is the checkpoint of other data: its columns are "
                f"{', '.join(kept.layout.names) if kept.layout else 'none'} instead of {', '.join(layout.names)}; "
                "remove it or choose another file"
            )
        self._model = replace(kept, layout=layout)
        return self._model

    def load(self, template: Any = None, *, model: Any = None) -> Iteration:
        """The iteration in the file.

        Parameters
        ----------
        template : Parameters, optional
            Parameters of the fit that is to go on; a file of another model is then told from its own.
        model : DeclaredModel, optional
            The declared model that is fitted, where `prepared` was not called.

        Raises
        ------
        ModelFileError
            The file is missing, cut off or altered, or belongs to another model.
        """
        iteration = self._read(self._model if model is None else model)[0]
        if template is not None and _shapes(iteration.parameters) != _shapes(template):
            raise ModelFileError(
                f"{self.path} is the checkpoint of another model ({_shapes(iteration.parameters)} instead of "
                f"{_shapes(template)}); remove it or choose another file"
            )
        return iteration

    def _read(self, model: Any) -> tuple[Iteration, Any]:
        """The iteration in the file, and the declared model beside it or None."""
        kept = load(self.path, model=model, types=self.types)
        iteration, beside = kept if isinstance(kept, tuple) and len(kept) == 2 else (kept, None)
        if not isinstance(iteration, Iteration):
            raise ModelFileError(f"{self.path} is a model file, not a checkpoint")
        return iteration, beside


def _shapes(parameters: Any) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in parameters.arrays().items()}
