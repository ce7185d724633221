"""The figures of the theory, drawn by the library when the documentation is built, into `_static/theory`.

`python docs/figures.py` draws them all anew; a build draws those that are missing or older than this file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import latentem as em
from latentem.families import FullGaussian, LinearGaussian, Poisson
from latentem.families.gaussian import FullGaussianParameters
from latentem.families.linear_gaussian_parameters import LinearGaussianParameters
from latentem.families.poisson import PoissonParameters
from latentem.latents.categorical import CategoricalParameters
from latentem.latents.normal import NormalParameters
from latentem.plots.style import COLOURS, INK, LINES, MARKERS, tidy

FOLDER = Path(__file__).parent / "_static" / "theory"
FIGURES: dict[str, Callable[[], Figure]] = {}
STYLE = {"font.size": 11, "axes.labelcolor": INK, "svg.hashsalt": "latentem", "axes.titlesize": "medium"}


def figure(draw: Callable[[], Figure]) -> Callable[[], Figure]:
    """Register a figure by the name of its function."""
    FIGURES[draw.__name__] = draw
    return draw


def draw_all(*_: Any, anew: bool = False) -> None:
    """Draw what is missing or out of date; also a handler of Sphinx's `builder-inited`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = Path(__file__).stat().st_mtime
    for name, draw in FIGURES.items():
        path = FOLDER / f"{name}.svg"
        if anew or not path.exists() or path.stat().st_mtime < written:
            with mpl.rc_context(STYLE):
                draw().savefig(path, metadata={"Date": None})


def canvas(width: float = 7.0, height: float = 4.2) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, tidy(figure.subplots())


# -- death notices: two Poisson distributions ------------------------------------------------------------

POISSONS = em.LatentVariableModel(em.Categorical(2), Poisson())


def notices() -> tuple[np.ndarray, np.ndarray]:
    """Notices a day (10, 1), and how many days had as many (10,)."""
    deaths, days = em.datasets.load_london_times().values.T
    return deaths[:, None], days


def poissons(weight: float, first: float, second: float) -> em.ModelParameters:
    rates = PoissonParameters(np.array([[first], [second]]))
    return em.ModelParameters(CategoricalParameters(np.array([weight, 1 - weight])), rates)


@figure
def bound() -> Figure:
    """ℓ over the second rate, and Q + H of three consecutive steps, each touching ℓ at its own θ."""
    counts, days = notices()
    rows, rates = em.Batch(counts, weights=days), np.linspace(1.6, 5.0, 200)
    drawing, ax = canvas()
    heights = [POISSONS.e_step(poissons(0.5, 1.0, rate), rows).log_likelihood for rate in rates]
    ax.plot(rates, heights, color=INK, lw=2.5)
    rate, offsets = 4.6, ((10, 2), (0, 10), (0, 10))
    for step in range(3):
        here = poissons(0.5, 1.0, rate)
        found = POISSONS.e_step(here, rows)
        entropy = found.log_likelihood - POISSONS.q_function(here, found.statistics)
        lower = [POISSONS.q_function(poissons(0.5, 1.0, other), found.statistics) + entropy for other in rates]
        label = rf"$Q(\cdot\,;\theta_{step}) + H$"
        ax.plot(rates, lower, color=COLOURS[step], linestyle=LINES[step + 1], lw=1.8, label=label)
        ax.plot(rate, found.log_likelihood, MARKERS[step], color=COLOURS[step], markersize=8, zorder=3)
        where = {"textcoords": "offset points", "xytext": offsets[step], "ha": "left"}
        ax.annotate(rf"$\theta_{step}$", (rate, found.log_likelihood), color=COLOURS[step], **where)
        rate = rates[int(np.argmax(lower))]
    ax.annotate(r"$\ell$", (1.8, -2060), fontsize=14, color=INK)
    ax.set(ylim=(-2230, -1985), xlabel="second rate (notices a day)", ylabel="log-likelihood")
    ax.legend(frameon=False, loc="upper right")
    return drawing


@figure
def split() -> Figure:
    """The gains of the first steps, in Q and in KL."""
    counts, days = notices()
    start = poissons(0.5, 1.0, 3.0)
    fit = em.fit(POISSONS, counts, sample_weight=days, parameters=start, certify=True, max_iter=10)
    steps = np.arange(1, 9)
    q, kl = np.array([(gain.q, gain.kl) for gain in fit.ascent[:8]]).T
    drawing, ax = canvas(7.0, 3.6)
    for shift, parts, label, hatch, colour in ((-0.2, q, "gain in Q", "", 0), (0.2, kl, "KL that it opened", "///", 1)):
        ax.bar(steps + shift, parts, 0.38, color=COLOURS[colour], hatch=hatch, edgecolor="white", label=label)
    ax.set(xlabel="EM step", ylabel="gain of log-likelihood", yscale="log", xticks=steps)
    ax.legend(frameon=False)
    return drawing


# -- Murray's twelve rows --------------------------------------------------------------------------------

NAN = np.nan
MURRAY = np.array(
    [[1, 1], [1, -1], [-1, 1], [-1, -1], *[[2, NAN]] * 2, *[[-2, NAN]] * 2, *[[NAN, 2]] * 2, *[[NAN, -2]] * 2]
)
NORMAL = em.LatentVariableModel(em.Categorical(1), FullGaussian(floor=0.0))


def normal(rho: float, variance: float) -> em.ModelParameters:
    covariance = variance * np.array([[[1, rho], [rho, 1]]])
    return em.ModelParameters(CategoricalParameters(np.ones(1)), FullGaussianParameters(np.zeros((1, 2)), covariance))


def path(model: Any, data: Any, start: Any, look: Callable[[Any], tuple[float, float]], **options: Any) -> np.ndarray:
    """What one sees of the parameters at every step of a fit, (2, steps)."""
    seen: list[tuple[float, float]] = []

    def watch(iteration: em.Iteration) -> None:
        seen.append(look(iteration.parameters))

    em.fit(model, data, parameters=start, callbacks=[watch], **options)
    return np.transpose(seen)


def draw_path(ax: Any, points: np.ndarray, number: int) -> None:
    """A path with a dot at each step, a larger one at its start and a star at its end."""
    colour = COLOURS[number % len(COLOURS)]
    ax.plot(*points, "-", color=colour, lw=1.3, marker=".", markersize=5)
    ax.plot(*points[:, 0], "o", color="white", markeredgecolor=colour, markersize=8, markeredgewidth=1.8)
    ax.plot(*points[:, -1], "*", color=INK, markersize=13, zorder=4)


def contours(ax: Any, across: np.ndarray, up: np.ndarray, heights: np.ndarray, below: tuple[float, ...]) -> None:
    """Lines where the log-likelihood is so much below its highest value."""
    levels = np.sort(heights.max() - np.array(below))
    ax.contour(across, up, heights, levels=levels, colors="#999999", linewidths=0.9, linestyles="solid")


def correlation_and_variance(parameters: Any) -> tuple[float, float]:
    (variance, covariance), _ = parameters.emission.covariances[0]
    return covariance / variance, variance


def murrays_log_likelihood(rho: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Four complete rows, whose products add to zero, and eight numbers of size 2."""
    complete = -4 * np.log(2 * np.pi * variance) - 2 * np.log(1 - rho**2) - 4 / (variance * (1 - rho**2))
    return np.asarray(complete - 4 * np.log(2 * np.pi * variance) - 16 / variance)


@figure
def saddle() -> Figure:
    """ℓ over correlation and variance, EM's paths to two maxima, and the saddle between them."""
    rho, variance = np.linspace(-0.95, 0.95, 161), np.linspace(1.0, 5.0, 121)
    heights = murrays_log_likelihood(rho, variance[:, None])
    drawing, ax = canvas(7.0, 4.6)
    contours(ax, rho, variance, heights, (0.01, 0.04, 0.059, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2))
    starts = ((0.0, 4.6), (0.03, 1.2), (-0.03, 1.6), (-0.9, 3.6), (0.8, 4.4))
    for number, start in enumerate(starts):
        options = {"tol": 1e-7, "max_iter": 500}
        draw_path(ax, path(NORMAL, MURRAY, normal(*start), correlation_and_variance, **options), number)
    ax.annotate("saddle", (0, 2.5), xytext=(-62, -22), textcoords="offset points", arrowprops={"arrowstyle": "-"})
    for rho_max, side in ((-0.5, -40), (0.5, 5)):
        ax.annotate("maximum", (rho_max, 8 / 3), xytext=(side, 20), textcoords="offset points")
    ax.set(xlabel=r"correlation $\rho$", ylabel=r"variance $\sigma^2$")
    return drawing


# -- one column, one factor ------------------------------------------------------------------------------


def factor(loading: float, noise: float) -> em.ModelParameters:
    emission = LinearGaussianParameters(np.zeros(1), np.array([[loading]]), np.array([noise]), np.zeros((1, 0)))
    return em.ModelParameters(NormalParameters(np.zeros(1), np.eye(1)), emission)


def loading_and_noise(parameters: Any) -> tuple[float, float]:
    return float(parameters.emission.loadings[0, 0]), float(parameters.emission.noise[0])


@figure
def ridge() -> Figure:
    """ℓ over loading and noise, level along λ² + ψ = 1, and where EM meets that curve."""
    model = em.LatentVariableModel(em.latents.Normal(1, expand=False), LinearGaussian())
    waiting = em.datasets.load_faithful().column("waiting")[:, None]
    waiting = (waiting - waiting.mean()) / waiting.std()
    loading, noise = np.linspace(-1.6, 1.6, 121), np.linspace(0.02, 1.9, 100)
    total = loading**2 + noise[:, None]
    heights = -0.5 * len(waiting) * (np.log(2 * np.pi * total) + 1 / total)
    drawing, ax = canvas(7.0, 4.6)
    contours(ax, loading, noise, heights, (1, 4, 10, 20, 40, 80))
    curve = np.linspace(-1, 1, 201)
    ax.plot(curve, 1 - curve**2, color=INK, lw=2.5, alpha=0.35)
    for number, start in enumerate(((0.2, 0.3), (0.5, 1.7), (1.5, 0.3), (-1.4, 1.2), (-0.5, 0.15), (-0.25, 1.6))):
        draw_path(ax, path(model, waiting, factor(*start), loading_and_noise, tol=1e-9), number)
    ax.annotate(r"$\lambda^2 + \psi = 1$", (0.78, 0.47), fontsize=12)
    ax.set(xlabel=r"loading $\lambda$", ylabel=r"noise variance $\psi$")
    return drawing


# -- the eruptions of Old Faithful -----------------------------------------------------------------------


def three_normals(means: tuple[float, float, float]) -> em.ModelParameters:
    emission = FullGaussianParameters(np.array(means)[:, None], np.full((3, 1, 1), 0.1))
    return em.ModelParameters(CategoricalParameters(np.full(3, 1 / 3)), emission)


@figure
def basin() -> Figure:
    """Where the first two means start, and at which maximum EM ends."""
    model = em.LatentVariableModel(em.Categorical(3), FullGaussian(floor=1e-3))
    eruptions = em.datasets.load_faithful().column("eruptions")[:, None]
    starts = [(a, b) for a in np.linspace(1.5, 5.1, 17) for b in np.linspace(1.5, 5.1, 17) if b > a]
    options = {"acceleration": "auto", "max_iter": 3000, "tol": 1e-5}
    fits = (em.fit(model, eruptions, parameters=three_normals((a, b, 4.3)), **options) for a, b in starts)
    ends = np.array([fit.log_likelihood for fit in fits]).round(1)
    drawing, ax = canvas(6.4, 5.0)
    for number, end in enumerate(np.unique(ends)[::-1]):
        points = np.transpose(starts)[:, ends == end]
        style = {"color": COLOURS[number], "linestyle": "", "markersize": 6}
        ax.plot(*points, MARKERS[number], label=rf"$\ell$ = {end:.1f}", **style)
        ax.plot(*points[::-1], MARKERS[number], **style)
    ax.set(xlabel="first mean at the start (minutes)", ylabel="second mean at the start (minutes)", aspect="equal")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), title="EM ends at")
    return drawing


def gaps(model: Any, data: Any, **options: Any) -> tuple[np.ndarray, float]:
    """What was still to gain at every EM step, and λ at the limit."""
    course: list[float] = []

    def watch(iteration: em.Iteration) -> None:
        course.append(iteration.objective)

    fit = em.fit(model, data, tol=1e-11, max_iter=400, callbacks=[watch], **options)
    limit = em.fit(model, data, acceleration="auto", tol=1e-13, **{**options, "parameters": fit.parameters})
    return limit.log_likelihood - np.array(course), limit.certify().rate


@figure
def rate() -> Figure:
    """The gap to the limit, and the slope that the certificate's λ² promises."""
    pair = em.LatentVariableModel(em.Categorical(2), FullGaussian())
    three = em.LatentVariableModel(em.Categorical(3), FullGaussian())
    faithful, (counts, days) = em.datasets.load_faithful(), notices()
    fits = {
        "waiting times, 2 normals": gaps(pair, faithful.column("waiting")[:, None], random_state=0),
        "both columns, 3 normals": gaps(three, faithful.values, random_state=1),
        "death notices, 2 Poisson": gaps(POISSONS, counts, sample_weight=days, parameters=poissons(0.5, 1.0, 3.0)),
    }
    drawing, ax = canvas(7.0, 4.4)
    for number, (label, (gap, lam)) in enumerate(fits.items()):
        seen = np.flatnonzero(gap > 1e-9)
        text = rf"{label}: $\lambda$ = {lam:.3f}"
        ax.plot(seen, gap[seen], color=COLOURS[number], linestyle=LINES[number], lw=2, label=text)
        anchor = seen[-1]
        steps = np.arange(max(0, int(anchor - 150)), anchor + 1)
        slope = gap[anchor] * lam ** (2.0 * (steps - anchor))
        ax.plot(steps, np.where(slope < 50, slope, np.nan), color=INK, linestyle=(0, (1, 1.5)), lw=1.4)
    ax.plot([], [], color=INK, linestyle=(0, (1, 1.5)), lw=1.4, label=r"slope $\lambda^2$ of the certificate")
    ax.set(yscale="log", xlabel="EM steps", ylabel="log-likelihood still to gain", ylim=(5e-10, 200))
    ax.legend(frameon=False, fontsize="small", loc="upper right")
    return drawing


if __name__ == "__main__":
    draw_all(anew=True)
