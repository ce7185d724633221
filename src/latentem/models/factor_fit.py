"""How well a factor model fits: the likelihood ratio against an unrestricted covariance, and indices made of it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan, sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2, ncx2

from .._typing import FloatArray

# The variance of a column, in units of its spread, that is none.
CONSTANT = 1e-9


@dataclass(frozen=True)
class FactorFit:
    """Measures of fit of q factors to p columns.

    Attributes
    ----------
    chi_square : float
        2 (ℓ of an unrestricted covariance - ℓ), the likelihood ratio statistic.
    df : int
        ((p - q)² - p - q) / 2 with a variance for each column: moments less free parameters.
    p_value : float
        Of `chi_square`; NaN where df is not positive, as all that needs it: RMSEA, CFI and TLI.
    bartlett_chi_square, bartlett_p_value : float
        With n - 1 - (2p + 5)/6 - 2q/3 in place of n, nearer to its distribution in small samples (Bartlett 1951); NaN
        where that is not positive.
    rmsea, rmsea_low, rmsea_high : float
        √(max(χ² - df, 0) / (n df)) with its 90 % interval (Steiger and Lind 1980; Browne and Cudeck 1993).
    cfi : float
        1 - max(χ² - df, 0) / max(χ₀² - df₀, χ² - df, 0), χ₀² of independent columns (Bentler 1990).
    tli : float
        (χ₀²/df₀ - χ²/df) / (χ₀²/df₀ - 1) (Tucker and Lewis 1973).
    srmr : float
        Root mean square of the residual correlations, the diagonal included (Bentler 1995); NaN where a column is
        constant.
    """

    chi_square: float
    df: int
    p_value: float
    bartlett_chi_square: float
    bartlett_p_value: float
    rmsea: float
    rmsea_low: float
    rmsea_high: float
    cfi: float
    tli: float
    srmr: float


def factor_fit(
    *,
    log_likelihood: float,
    saturated: float,
    independent: float,
    observed: FloatArray,
    implied: FloatArray,
    n: float,
    n_parameters: int,
    n_factors: int,
) -> FactorFit:
    """The measures.

    Parameters
    ----------
    log_likelihood, saturated, independent : float
        ℓ of the model, of an unrestricted covariance (NaN where that is singular), and of independent columns.
    observed, implied : (p, p)
        Covariances of the unrestricted and of the factor model, in units of the columns' spread.
    n : float
        Rows, or the sum of their weights.
    n_parameters : int
        Free parameters besides the means, those that a rotation makes up for not counted.
    n_factors : int
    """
    p = len(observed)
    df, df_0 = p * (p + 1) // 2 - n_parameters, p * (p - 1) // 2
    statistic, baseline = max(2 * (saturated - log_likelihood), 0.0), max(2 * (saturated - independent), 0.0)
    multiplier = n - 1 - (2 * p + 5) / 6 - 2 * n_factors / 3
    bartlett = statistic / n * multiplier if multiplier > 0 else nan
    excess, excess_0 = max(statistic - df, 0.0), max(baseline - df_0, 0.0)
    low, high = _interval(statistic, df) if df > 0 and isfinite(statistic) else (nan, nan)
    return FactorFit(
        chi_square=statistic,
        df=df,
        p_value=float(chi2.sf(statistic, df)) if df > 0 else nan,
        bartlett_chi_square=bartlett,
        bartlett_p_value=float(chi2.sf(bartlett, df)) if df > 0 else nan,
        rmsea=sqrt(excess / (n * df)) if df > 0 else nan,
        rmsea_low=sqrt(low / (n * df)) if df > 0 else nan,
        rmsea_high=sqrt(high / (n * df)) if df > 0 else nan,
        cfi=_bentler(excess, excess_0) if df > 0 else nan,
        tli=_tucker_lewis(statistic, df, baseline, df_0),
        srmr=_residuals(observed, implied),
    )


def _bentler(excess: float, excess_0: float) -> float:
    worst = max(excess, excess_0)
    return 1.0 if worst == 0 else 1 - excess / worst


def _tucker_lewis(statistic: float, df: int, baseline: float, df_0: int) -> float:
    if df <= 0 or df_0 <= 0 or baseline == df_0:
        return nan
    return (baseline / df_0 - statistic / df) / (baseline / df_0 - 1)


def _interval(statistic: float, df: int, level: float = 0.9) -> tuple[float, float]:
    """The noncentralities under which the statistic is an upper and a lower quantile."""

    def noncentrality(probability: float) -> float:
        if chi2.cdf(statistic, df) <= probability:
            return 0.0
        top = statistic + 10 * sqrt(statistic) + 10
        while ncx2.cdf(statistic, df, top) > probability:
            top *= 2
        return float(brentq(lambda size: ncx2.cdf(statistic, df, size) - probability, 1e-12, top))

    return noncentrality((1 + level) / 2), noncentrality((1 - level) / 2)


def _residuals(observed: FloatArray, implied: FloatArray) -> float:
    variances = np.diagonal(observed)
    if np.min(variances) < CONSTANT:
        return nan
    scale = np.sqrt(np.outer(variances, variances))
    i, j = np.tril_indices(len(observed))
    return float(np.sqrt(np.mean(((observed - implied) / scale)[i, j] ** 2)))
