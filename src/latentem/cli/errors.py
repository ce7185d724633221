"""Every error of a command becomes one message on stderr and exit code 2."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..errors import LatentemError

NOT_CONVERGED = 1
BAD_INPUT = 2
SHOW_TRACEBACK = "LATENTEM_TRACEBACK"


class Commands(click.Group):
    """A group whose commands end in a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get(SHOW_TRACEBACK):
                raise
            raise Failure(_message(error)) from error


class Failure(click.ClickException):
    """One message on stderr, and exit code 2."""

    exit_code = BAD_INPUT

    def show(self, file: Any = None) -> None:
        click.echo(f"latentem: {self.format_message()}", err=True)


def _message(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, LatentemError):
        return text
    if isinstance(error, MemoryError):
        return f"there is not enough memory: {text or 'the data are too large'}"
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or text}"
    if isinstance(error, ValueError):
        return text
    return f"unexpected {type(error).__name__}: {text} ({SHOW_TRACEBACK}=1 shows where; please report it)"


@contextmanager
def quiet_warnings() -> Iterator[None]:
    """Warnings that the command tells in its own words are dropped; others are shown as one line each."""
    from sklearn.exceptions import ConvergenceWarning

    from ..estimators import FindingWarning

    with warnings.catch_warnings():
        warnings.showwarning = _show_briefly
        for category in (ConvergenceWarning, FindingWarning):
            warnings.simplefilter("ignore", category)
        yield


def _show_briefly(message: Warning | str, *_: Any, **__: Any) -> None:
    click.echo(f"latentem: warning: {' '.join(str(message).split())}", err=True)
