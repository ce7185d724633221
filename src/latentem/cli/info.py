"""`latentem info`: what is installed here, and what serves."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

REQUIRED = (
    "numpy",
    "scipy",
    "scikit-learn",
    "jax",
    "jinja2",
    "pyarrow",
    "matplotlib",
    "click",
    "rich",
    "threadpoolctl",
)
OPTIONAL = {"pandas": "pandas frames as input", "polars": "polars frames as input"}


@click.command(short_help="Versions, cores, compiled kernels.")
def info() -> None:
    """Print versions, cores, whether compiled kernels serve, and which optional packages are there."""
    from ..execution.threads import available_cores
    from ..io.model_files import library_version

    click.echo(f"latentem {library_version()}, Python {platform.python_version()}, {platform.platform()}")
    click.echo(f"Cores that this process may use: {available_cores()}")
    click.echo(f"Compiled kernels: {kernels_line()}")
    click.echo("Packages: " + ", ".join(f"{name} {_version(name) or 'missing'}" for name in REQUIRED))
    click.echo("Optional:")
    for name, use in OPTIONAL.items():
        click.echo(f"  {name:8} {_version(name) or 'not installed':15} {use}")


def kernels_line() -> str:
    """Whether compiled kernels serve, and if not, why and what to do."""
    from ..kernels.compiled import status

    found = status()
    if found.available:
        return f"yes ({found.flags})"
    return f"no, the slower NumPy references serve: {found.reason}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
