"""`python -m latentem.cli` is the command `latentem`."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    main(prog_name="latentem")
