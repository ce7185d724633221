"""The command line: `latentem fit`, `predict`, `sample`, `show`, `compare`, `report`, `info`, `demo`.

Exit codes: 0 fine; 1 fitted, but not converged or interrupted; 2 bad input, with one message and no traceback.
"""

from __future__ import annotations

import click

from ..io.model_files import library_version
from .apply import predict, sample, show
from .compare import compare
from .demo import demo
from .errors import Commands
from .fit import fit
from .info import info
from .report import report


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(library_version(), message="latentem %(version)s")
def main() -> None:
    """Fit latent variable models by Expectation-Maximization, and be told honestly how far it came."""


for _command in (fit, predict, sample, show, compare, report, info, demo):
    main.add_command(_command)
