"""Random numbers that belong to units: the same for a unit in whatever chunk, process or order it comes.

They are functions of (seed, stream, key of the unit, position) by the finalizer of splitmix64 (Steele, Lea and Flood
2014), so that no generator has a state to carry along, and another θ meets the same numbers (common random numbers).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import gammaln, ndtri

from ...._typing import Array, FloatArray

# Independent randomizations of the points of a unit: their scatter tells the Monte Carlo error.
REPLICATES = 8
# Of each 5 draws 4 are normal and 1 is Student's t with 4 degrees of freedom, this much wider.
NORMAL_TO_T, FREEDOM, WIDER = 4, 4, 1.5
# Of each kind one half goes to each of two modes.
SMALLEST_DRAWS = 2 * REPLICATES * (NORMAL_TO_T + 1)
SOBOL_BITS = 30

_STEP, _FIRST, _SECOND = (
    np.array([constant], np.uint64) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def random_bits(seed: int, stream: int, keys: Array, n: int) -> Array:
    """(U, n) uint64: n numbers for each key; streams are independent of each other."""
    named = _mixed(_mixed(np.array([seed], np.uint64)) + np.array([stream], np.uint64))
    own = _mixed(named + _mixed(np.asarray(keys).astype(np.uint64) + _STEP))
    return _mixed(own[:, None] + _STEP * np.arange(1, n + 1, dtype=np.uint64))


def uniforms(seed: int, stream: int, keys: Array, n: int) -> FloatArray:
    """(U, n) uniform numbers, strictly between 0 and 1."""
    return np.asarray(((random_bits(seed, stream, keys, n) >> np.uint64(12)) + 0.5) * 2.0**-52)


def standard_draws(seed: int, stream: int, keys: Array, draws: int, dimension: int) -> FloatArray:
    """Draws ξ (U, draws, d) from q(ξ) = ⅘ N(ξ; 0, I) + ⅕ t₄(ξ; 0, 1.5² I).

    Sobol points under a random digital shift for each unit and replicate (Owen 1995; L'Ecuyer and Lemieux 2002): draws
    i·draws/8 … (i+1)·draws/8 - 1 are replicate i, and the replicates of a unit are independent.  Normal and t draws are
    in fixed proportion, which makes their mixture the density to divide by (Owen and Zhou 2000).

    Parameters
    ----------
    keys : (U,) int
    draws : int
        80 · 2ʲ, see `rounded_draws`.
    """
    heavy = draws // (REPLICATES * (NORMAL_TO_T + 1))
    units, normal = len(keys), heavy * NORMAL_TO_T
    body = _shifted(seed, 2 * stream, keys, normal, dimension)
    tail = _shifted(seed, 2 * stream + 1, keys, heavy, dimension + 2)
    stretch = WIDER * np.sqrt(-2.0 / np.log(tail[..., -1] * tail[..., -2]))
    drawn = np.concatenate([ndtri(body), ndtri(tail[..., :-2]) * stretch[..., None]], axis=2)
    return np.asarray(drawn.reshape(units, draws, dimension))


def independent_draws(seed: int, stream: int, keys: Array, n: int, dimension: int) -> FloatArray:
    """(U, n, d): draws from the same q(ξ), all independent of each other."""
    drawn = uniforms(seed, stream, keys, n * (dimension + 3)).reshape(len(keys), n, dimension + 3)
    heavy = drawn[..., 0] * (NORMAL_TO_T + 1) < 1
    stretch = WIDER * np.sqrt(-2.0 / np.log(drawn[..., 1] * drawn[..., 2]))
    return np.asarray(ndtri(drawn[..., 3:]) * np.where(heavy, stretch, 1.0)[..., None])


def second_halves(draws: int) -> Array:
    """(draws,) bool: the second half of the normal and of the t draws of each replicate, each half a net by itself."""
    heavy = draws // (REPLICATES * (NORMAL_TO_T + 1))
    parts = [np.arange(n) >= n // 2 for n in (heavy * NORMAL_TO_T, heavy)]
    return np.tile(np.concatenate(parts), REPLICATES)


def rounded_draws(draws: int) -> int:
    """The least 80 · 2ʲ that is not smaller."""
    return SMALLEST_DRAWS << max(0, int(np.ceil(np.log2(max(draws, 1) / SMALLEST_DRAWS))))


def log_standard_density(squares: FloatArray, dimension: int) -> FloatArray:
    """log q(ξ), see `standard_draws`, from |ξ|²."""
    share, half = NORMAL_TO_T / (NORMAL_TO_T + 1), 0.5 * (FREEDOM + dimension)
    normal = np.log(share) - 0.5 * squares - 0.5 * dimension * np.log(2 * np.pi)
    constant = gammaln(half) - gammaln(FREEDOM / 2) - 0.5 * dimension * np.log(FREEDOM * np.pi * WIDER**2)
    heavy = np.log1p(-share) + constant - half * np.log1p(squares / (FREEDOM * WIDER**2))
    return np.asarray(np.logaddexp(normal, heavy))


def _shifted(seed: int, stream: int, keys: Array, n: int, dimension: int) -> FloatArray:
    """(U, replicates, n, dimension) uniform numbers: Sobol points whose binary digits are shifted at random."""
    shifts = random_bits(seed, stream, keys, REPLICATES * dimension) >> np.uint64(64 - SOBOL_BITS)
    shifts = shifts.astype(np.uint32).reshape(len(keys), REPLICATES, 1, dimension)
    return np.asarray(((_sobol(dimension, n) ^ shifts) + 0.5) * 2.0**-SOBOL_BITS)


@lru_cache(maxsize=32)
def _sobol(dimension: int, n: int) -> Array:
    """The first n = 2ʲ Sobol points as whole numbers of 30 bits, (n, dimension)."""
    from scipy.stats.qmc import Sobol

    points = Sobol(dimension, scramble=False, bits=SOBOL_BITS).random_base2(int(np.log2(n)))
    return np.asarray(points * 2.0**SOBOL_BITS).astype(np.uint32)


def _mixed(z: Array) -> Array:
    """The finalizer of splitmix64, with the wrapping arithmetic of arrays of uint64."""
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return np.asarray(z ^ (z >> np.uint64(31)))
