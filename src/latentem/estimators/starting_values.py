"""Starting values that users give, checked: shapes, ranges, positive definiteness; and parameters held at them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..errors import ParameterError
from ..families.constrained import Constrained, ConstrainedParameters, _with_arrays
from ..model import Family, LatentVariableModel, ModelParameters
from ..parameters import Parameters


def put_in(params: ModelParameters, weights: Any, values: dict[str, Any]) -> ModelParameters:
    """Parameters with the user's starting values in place of some of them."""
    latent, emission = params.latent, params.emission
    if weights is not None:
        latent = replace(latent, weights=check_start_weights(weights, len(latent.weights)))
    if values:
        arrays = emission.arrays()
        unknown = sorted(set(values) - set(arrays))
        if unknown:
            raise ParameterError(f"there is no parameter {unknown[0]!r} to start; there are {sorted(arrays)}")
        checked = {name: _shaped(name, value, np.shape(arrays[name])) for name, value in values.items()}
        emission = _with_arrays(emission, checked).check()
    return ModelParameters(latent, emission)


def constrain(
    family: Family[Any, Any], fixed: Any, tied: Any, n_components: int
) -> tuple[Family[Any, Any], tuple[int, ...]]:
    """The family under the constraints, and the components whose weight is held.

    Parameters
    ----------
    fixed : sequence of names, or mapping from names to a mask over components, or None
        "weights" are those of the mixture; other names are arrays of the components.
    tied : sequence of names, or None
    """
    masks: dict[str, Any] = dict(fixed) if isinstance(fixed, dict) else dict.fromkeys(fixed or ())
    mask = masks.pop("weights", ()) if "weights" in masks else ()
    held = range(n_components) if mask is None else np.flatnonzero(np.asarray(mask, bool))
    if mask is not None and len(mask) not in (0, n_components):
        raise ParameterError(f"fixed['weights'] needs one entry for each of {n_components} components, got {mask!r}")
    if masks or tied:
        everywhere = all(value is None for value in masks.values())
        family = Constrained(family, tuple(masks) if everywhere else _masks(masks, n_components), tuple(tied or ()))
    return family, tuple(int(k) for k in held)


def _masks(masks: dict[str, Any], n_components: int) -> dict[str, tuple[bool, ...]]:
    return {name: (True,) * n_components if mask is None else tuple(map(bool, mask)) for name, mask in masks.items()}


def carried_on(
    model: LatentVariableModel,
    before: LatentVariableModel,
    params: ModelParameters,
    rough: ModelParameters,
    lifted: Callable[[Any, Any], Any],
) -> ModelParameters:
    """The parameters of the model `before` as a start for a model that other options may have made.

    Parameters
    ----------
    rough : ModelParameters
        Parameters shaped as the model's own.
    lifted : callable
        (family, its parameters) → those parameters on or above the family's floor.
    """
    family, emission = _bare(model.family), _bare(params.emission)
    if type(_bare(before.family)) is not type(family) or _shapes(emission) != _shapes(rough.emission):
        raise ParameterError(
            "warm_start goes on from the last fit, but that had another number of components or columns, or another "
            "family or shape of its parameters; fit with warm_start=False first"
        )
    unchanged = same_model(before, model)  # what a fit came to is a start for it, though rounding may blur the floor
    if not unchanged and not family.admissible(emission):
        emission = lifted(family, emission)
    if not unchanged and not family.admissible(emission):
        raise ParameterError(
            "warm_start goes on from the last fit, but its parameters lie outside what the options now allow (a floor, "
            "or bounds); fit with warm_start=False first"
        )
    return model.conform(ModelParameters(params.latent, _constrained(model.family, emission)))


def same_model(one: LatentVariableModel, other: LatentVariableModel) -> bool:
    """Whether two models are certainly alike but for the prior."""
    try:
        return bool(one.latent == other.latent and one.family == other.family)
    except ValueError:  # families that hold arrays compare entry by entry
        return False


def _bare(value: Any) -> Any:
    """A family, or its parameters, without constraints."""
    if isinstance(value, Constrained):
        return _bare(value.family)
    return _bare(value.base) if isinstance(value, ConstrainedParameters) else value


def _constrained(family: Any, emission: Any) -> Any:
    return family.constrain(_constrained(family.family, emission)) if isinstance(family, Constrained) else emission


def _shapes(value: Any) -> Any:
    """Kinds and shapes of parameters, to be compared."""
    value = _bare(value)
    if isinstance(value, Parameters):
        return type(value), [_shapes(getattr(value, item.name)) for item in fields(value)]
    return [_shapes(part) for part in value] if isinstance(value, tuple) else np.shape(value)


def check_init(init: Any, n_rows: int, n_components: int) -> Any:
    """A way to start by its name, or responsibilities (n, K) as an array."""
    return init if isinstance(init, str) else _shaped("init_params", init, (n_rows, n_components))


def check_start_weights(weights: Any, n_components: int) -> FloatArray:
    """Weights (K,) in [0, 1] that add to one."""
    checked = _shaped("weights", weights, (n_components,))
    outside = np.flatnonzero(~((checked >= 0) & (checked <= 1)))
    if len(outside):
        raise ParameterError(
            f"The parameter 'weights' should be in the range [0, 1], but component {outside[0]} has "
            f"{checked[outside[0]]:.5f}"
        )
    if not np.isclose(checked.sum(), 1, atol=1e-6):
        raise ParameterError(
            f"The parameter 'weights' should be normalized, but got sum(weights) = {checked.sum():.5f}"
        )
    return np.asarray(checked / checked.sum())


def check_means(means: Any, n_components: int, n_features: int) -> FloatArray:
    """Finite means (K, D)."""
    return _shaped("means", means, (n_components, n_features))


def check_precisions(precisions: Any, covariance_type: str, n_components: int, n_features: int) -> FloatArray:
    """Precisions, shaped as the covariances of their type, positive or symmetric positive definite."""
    shapes = {
        "full": (n_components, n_features, n_features),
        "tied": (n_features, n_features),
        "diag": (n_components, n_features),
        "spherical": (n_components,),
    }
    name = f"{covariance_type} precision"
    checked = _shaped(name, precisions, shapes[covariance_type])
    if covariance_type in ("diag", "spherical"):
        if np.any(checked <= 0):
            place = tuple(int(i) for i in np.argwhere(checked <= 0)[0])
            raise ParameterError(f"'{name}' should be positive, but entry {place} is {checked[place]:g}")
        return checked
    symmetric = np.allclose(checked, np.swapaxes(checked, -1, -2))
    if not symmetric or np.any(np.linalg.eigvalsh(checked) <= 0):
        raise ParameterError(f"'{name}' should be symmetric, positive-definite; check its eigenvalues")
    return checked


def _shaped(name: str, values: Any, shape: tuple[int, ...]) -> FloatArray:
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"The parameter '{name}' should be numbers of shape {shape}; {error}") from error
    if array.shape != shape:
        raise ParameterError(f"The parameter '{name}' should have the shape of {shape}, but got {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ParameterError(f"The parameter '{name}' should be finite, but it holds NaN or infinity")
    return array
