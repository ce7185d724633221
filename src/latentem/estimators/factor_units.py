"""Columns in units of their own spread, in which a fit does not depend on how they were measured; and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..data import ArraySource, Batch, Source
from ..families.linear_gaussian_parameters import LinearGaussianParameters, LinearGaussianStatistics
from ..model import LatentVariableModel, ModelParameters, ModelStatistics
from ..models.moment_rows import MomentRows
from ..result import EMResult
from ..statistics import Expectation, Reference
from .gaussian_mixture import centres_and_scales, scale_or_size


@dataclass(frozen=True)
class Units:
    """u = (x - centre) / scale, each (p,).

    A fit to u is one to x: d = centre + scale d', Λ = scale Λ', ψ = scale² ψ', ℓ = ℓ' - Σ w log scale, a sum over
    the observed entries; gains of the log-likelihood are the same.
    """

    centre: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, source: Source, *, common: bool) -> Units:
        """Means and standard deviations of the observed entries; or one unit for all columns, their root mean square.

        Noise of one variance in all columns has it in no others.
        """
        centre, scale = _centre_and_scale(source)
        if common:
            largest = scale.max()
            scale = np.full(len(scale), largest * np.sqrt(np.mean((scale / largest) ** 2)))
        return cls(centre, scale)

    def applied(self, source: Source) -> Source:
        """The rows in these units."""
        if isinstance(source, MomentRows):
            return source.in_units(self.centre, self.scale)
        if type(source) is not ArraySource or source.offsets is not None or not isinstance(source.values, np.ndarray):
            return UnitSource(source, self)
        return ArraySource(
            (source.values - self.centre) / self.scale,
            weights=source.weights,
            labels=source.labels,
            chunk_rows=source.chunk_rows,
            names=source.names,
            layout=source.layout,
        )

    def as_they_came(self, emission: LinearGaussianParameters) -> LinearGaussianParameters:
        """Parameters for the rows as they came from those in these units."""
        return replace(
            emission,
            offset=self.centre + self.scale * emission.offset,
            loadings=self.scale[:, None] * emission.loadings,
            noise=self.scale**2 * emission.noise,
        )

    def statistics_as_they_came(self, statistics: LinearGaussianStatistics) -> LinearGaussianStatistics:
        """Moments of x - d from those of (x - d) / scale."""
        scale, square = self.scale, statistics.square
        return replace(
            statistics,
            cross=scale[:, None] * statistics.cross,
            square=scale**2 * square if square.ndim == 1 else scale[:, None] * scale * square,
            reference=Reference(self.centre + scale * statistics.reference.point),
        )

    def expectation_as_it_came(self, found: Expectation, source: Source) -> Expectation:
        """An E-step over the rows as they came, from one in these units."""
        own, jacobian = found.statistics, float(observed_weights(source) @ np.log(self.scale))
        return replace(
            found,
            statistics=ModelStatistics(own.latent, self.statistics_as_they_came(own.emission)),
            log_likelihood=found.log_likelihood - jacobian,
            magnitude=found.magnitude + abs(jacobian),
        )

    def undone(self, result: EMResult, model: LatentVariableModel, source: Source) -> EMResult:
        """The result as one of `model`, which is fitted to `source`, the rows as they came."""
        parameters, start = (
            ModelParameters(here.latent, self.as_they_came(here.emission)) for here in (result.parameters, result.start)
        )
        expectation = self.expectation_as_it_came(result.expectation, source)
        certificate = result.certificate
        if certificate is not None and certificate.way_out is not None:
            out = certificate.way_out
            certificate = replace(certificate, way_out=ModelParameters(out.latent, self.as_they_came(out.emission)))
        last, now = result.objective, expectation.log_likelihood
        return replace(
            result,
            model=model,
            parameters=parameters,
            log_likelihood=now,
            objective=now,
            history=tuple((step, now + (objective - last)) for step, objective in result.history),
            expectation=expectation,
            source=source,
            start=start,
            certificate=certificate,
        )


def observed_weights(source: Source) -> FloatArray:
    """(p,): the weights of the observed entries of each column."""
    return np.sum([batch.unit_weights(per_group=False) @ batch.observed for batch in source], axis=0)


def _centre_and_scale(source: Source) -> tuple[FloatArray, FloatArray]:
    """Means and standard deviations (p,) of the observed entries; of a constant column 1e-8 of its size."""
    if isinstance(source, MomentRows):
        scale = np.sqrt(np.maximum(np.diagonal(source.covariance), 0.0))
        return source.mean, scale_or_size(scale, source.mean, scale)
    return centres_and_scales(source)


class UnitSource(Source):
    """The chunks of a source in other units."""

    def __init__(self, source: Source, units: Units) -> None:
        self.source, self.units, self.names = source, units, source.names

    @property
    def n_rows(self) -> int:
        return self.source.n_rows

    @property
    def chunks(self) -> Sequence[Any]:
        return self.source.chunks

    @property
    def missing(self) -> bool:
        return self.source.missing

    def read(self, chunk: Any) -> Batch:
        batch = self.source.read(chunk)
        return replace(batch, values=(batch.values - self.units.centre) / self.units.scale, memo={})
