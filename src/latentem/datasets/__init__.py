"""Real data small enough to ship; README.md beside the files says where they come from."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from ..io.tables import Table


def load_faithful() -> Table:
    """272 eruptions of the Old Faithful geyser (Härdle 1991, Table 3).

    Returns
    -------
    Table
        Columns `eruptions` (duration) and `waiting` (time to the next), both in minutes; `values` is (272, 2).
    """
    return _load("faithful.csv")


def _load(name: str) -> Table:
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    return Table(tuple(lines[0].split(",")), np.array([line.split(",") for line in lines[1:]], dtype=float))
