r"""A summary as LaTeX: a `tabular` for each table, with the rules of booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from .record import Grid, Summary

# What LaTeX reads as commands, and letters that its standard fonts lack.
WRITTEN = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "±": r"$\pm$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "∞": r"$\infty$",
    "√": r"$\surd$",
    "—": "---",
    "→": r"$\to$",
    "½": r"$\tfrac12$",
    "²": r"$^2$",
    "ᵀ": r"$^\top$",
    "⁻": r"$^-$",
    "¹": r"$^1$",
    "₁": r"$_1$",
}
GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "varepsilon",
    "θ": "theta",
    "κ": "kappa",
    "λ": "lambda",
    "μ": "mu",
    "ν": "nu",
    "ξ": "xi",
    "π": "pi",
    "ρ": "rho",
    "σ": "sigma",
    "φ": "varphi",
    "ψ": "psi",
    "χ": "chi",
    "Σ": "Sigma",
    "Δ": "Delta",
    "Λ": "Lambda",
}
TABLE = str.maketrans(WRITTEN | {letter: rf"$\{name}$" for letter, name in GREEK.items()})


def as_latex(summary: Summary) -> str:
    """Paragraphs and tabulars, to be put into a document that loads booktabs."""
    status = rf"Status: {_escaped(summary.status)}\par"
    parts = [rf"\noindent\textbf{{{_escaped(summary.title)}}}\par", _facts(summary.facts), status]
    parts += map(_grid, summary.grids)
    parts += [rf"\noindent {_escaped(note)}\par" for note in summary.notes]
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    return text.translate(TABLE).replace("\n", " ")


def _line(cells: Sequence[str]) -> str:
    return " & ".join(_number(_escaped(cell)) for cell in cells) + r" \\"


def _number(cell: str) -> str:
    """With a minus sign, not a hyphen, before digits."""
    return f"${cell}$" if cell[:1] == "-" and cell[1:2].isdigit() and "$" not in cell and " " not in cell else cell


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    rows = [rf"{_escaped(name)} & {_number(_escaped(value))} \\" for name, value in facts]
    return "\n".join([r"\begin{tabular}{lr}", r"\toprule", *rows, r"\bottomrule", r"\end{tabular}\par"])


def _grid(grid: Grid) -> str:
    columns = "l" + "r" * (len(grid.headings) - 1)
    return "\n".join(
        [
            rf"\noindent {_escaped(grid.title)}\par",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line(grid.headings),
            r"\midrule",
            *map(_line, grid.rows),
            r"\bottomrule",
            r"\end{tabular}\par",
        ]
    )
