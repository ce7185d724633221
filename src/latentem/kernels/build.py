"""Compile the C kernels into one shared library with a plain C interface.

The build hook runs this at installation; `python -m latentem.kernels.build` runs it afterwards, where a compiler came
later.  It needs the standard library alone and imports nothing of latentem, because it runs before latentem is there.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NAME = "latentem_kernels" + {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
# No reassociation, and no contraction unless a file asks for it: the same bits on every machine.  Two -fno- switches
# change no value; they let the compiler turn comparisons into selections, without which it vectorizes little.
FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden")
TIMEOUT = 300


class NoLibraryError(RuntimeError):
    """There is no compiler, or it failed; the message says which."""


def sources() -> list[Path]:
    """The C files, in order."""
    return sorted((HERE / "c").glob("*.c"))


def version() -> str:
    """A hash of the C files: a library that was built from others must not be loaded."""
    digest = hashlib.sha256()
    for path in sorted((HERE / "c").glob("*.[ch]")):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def compiler() -> list[str]:
    """The compiler's command: $CC, else the first of cc, gcc, clang that is there."""
    if os.environ.get("LATENTEM_NO_COMPILER", "") not in ("", "0"):
        raise NoLibraryError("LATENTEM_NO_COMPILER is set")
    wanted = shlex.split(os.environ.get("CC", ""))
    candidates = [wanted] if wanted else [["cc"], ["gcc"], ["clang"]]
    for candidate in candidates:
        if shutil.which(candidate[0]):
            return candidate
    raise NoLibraryError("no C compiler was found: " + ", ".join(candidate[0] for candidate in candidates))


def build(output: Path, extra: Sequence[str] = ()) -> Path:
    """Compile all kernels to `output`; raises `NoLibraryError` where that cannot be done.

    The library is written aside and then moved into place, so that a process which has the old one loaded keeps it.
    """
    command, flags = compiler(), [*FLAGS, *extra]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".kernels-") as folder:
        fresh = Path(folder) / output.name
        files = [*map(str, sources()), "-o", str(fresh), "-lm"]
        _run([*command, *flags, *_definitions(command, flags), *_sharing(), *files])
        os.replace(fresh, output)
    return output


def _definitions(command: list[str], flags: list[str]) -> list[str]:
    described = " ".join([Path(command[0]).name, *command[1:], *flags])
    return [f'-DLATENTEM_VERSION="{version()}"', f'-DLATENTEM_FLAGS="{_plain(described)}"']


def _plain(text: str) -> str:
    """Text that may stand between quotes in C."""
    return text.replace("\\", "/").replace('"', "'")


def _sharing() -> list[str]:
    return ["-shared"] if sys.platform == "win32" else ["-fPIC", "-shared"]


def _run(command: list[str]) -> None:
    """Run a compiler to its end; where it takes too long, what it has started is stopped with it."""
    piped: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    try:
        with subprocess.Popen(command, start_new_session=True, **piped) as process:
            try:
                told = process.communicate(timeout=TIMEOUT)[1]
            except BaseException:
                _stop(process)
                raise
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoLibraryError(f"{command[0]} could not be run: {error}") from error
    if process.returncode:
        raise NoLibraryError(f"{command[0]} failed:\n{told.strip()[-2000:]}")


def _stop(process: subprocess.Popen[Any]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m latentem.kernels.build", description="Compile the C kernels of latentem.")
    parser.add_argument("--output", type=Path, default=HERE / NAME, help="the library (default: beside the package)")
    parser.add_argument("--flag", action="append", default=[], help="a further compiler flag; may be repeated")
    options = parser.parse_args(arguments)
    try:
        print(build(options.output, options.flag))
    except NoLibraryError as error:
        print(f"no library: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
