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


def load_london_times() -> Table:
    """Death notices of women aged 80 and over in The Times of London, 1910-1912 (Hasselblad 1969).

    Returns
    -------
    Table
        Columns `deaths` (notices on a day) and `days` (on how many of 1,096 days); `values` is (10, 2).
    """
    return _load("london_times.csv")


def load_biochemists() -> Table:
    """Articles by 915 students of biochemistry in the last three years of their doctorate (Long 1990).

    Returns
    -------
    Table
        Columns `articles`, `woman` and `married` (0 or 1), `children` (of five years or less), `prestige` of the
        department, and `mentor` (the mentor's articles); `values` is (915, 6).
    """
    return _load("biochemists.csv")


def load_tone_perception() -> Table:
    """150 trials in which a musician tuned a tone to the octave above another (Cohen 1980).

    Returns
    -------
    Table
        Columns `stretch` (ratio by which the overtones were stretched) and `tuned` (ratio of the tone chosen);
        `values` is (150, 2).
    """
    return _load("tone_perception.csv")


def load_nile() -> Table:
    """Annual flow of the Nile at Aswan, 1871-1970 (Cobb 1978).

    Returns
    -------
    Table
        Columns `year` and `flow` (10⁸ m³); `values` is (100, 2).
    """
    return _load("nile.csv")


def load_okun() -> Table:
    """Unemployment and gross domestic product of the United States, by quarters, 1959-2009 (Okun 1962).

    Returns
    -------
    Table
        Columns `year`, `quarter`, `gdp` (10⁹ dollars of 2005, a year) and `unemployment` (percent); `values` is
        (203, 4).
    """
    return _load("okun.csv")


def load_casino() -> Table:
    """300 rolls of an occasionally dishonest casino, simulated by Durbin, Eddy, Krogh and Mitchison (1998, page 56).

    Returns
    -------
    Table
        One column, `roll`, from 1 to 6; `values` is (300, 1).
    """
    return _load("casino.csv")


def load_sleep_study() -> Table:
    """Reaction times of 18 subjects over ten days with little sleep (Belenky et al. 2003).

    Returns
    -------
    Table
        Columns `reaction` (mean reaction time, milliseconds), `days` (from 0 to 9) and `subject` (its number);
        `values` is (180, 3).
    """
    return _load("sleep_study.csv")


def load_spector_mazzeo() -> Table:
    """Grades of 32 students of economics, taught by one of two methods (Spector and Mazzeo 1980).

    Returns
    -------
    Table
        Columns `grade` (1: it improved), `gpa` (grade point average), `tuce` (score of an earlier test) and `psi` (1:
        the new method); `values` is (32, 4).
    """
    return _load("spector_mazzeo.csv")


def load_motorette() -> Table:
    """Hours until the insulation of 40 motorettes failed at four temperatures, if it did (Schmee and Hahn 1979).

    Returns
    -------
    Table
        Columns `temperature` (degrees Celsius), `hours`, and `failed` (0: still running when the test ended);
        `values` is (40, 3).
    """
    return _load("motorette.csv")


def load_lsat6() -> Table:
    """Answers of 1,000 people to five questions of the Law School Admission Test (Bock and Lieberman 1970).

    Returns
    -------
    Table
        Columns `item1` … `item5` (1: right) and `count` (of people who answered so); `values` is (30, 6).
    """
    return _load("lsat6.csv")


def _load(name: str) -> Table:
    """A file of numbers; columns without a decimal point are whole numbers."""
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    names, rows = tuple(lines[0].split(",")), [line.split(",") for line in lines[1:]]
    whole = (name for name, column in zip(names, zip(*rows, strict=True), strict=True) if "." not in "".join(column))
    return Table(names, np.array(rows, dtype=float), whole=frozenset(whole))
