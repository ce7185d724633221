"""The laws that every family, latent, model, acceleration and executor must keep, as functions to call from tests.

Each check raises `AssertionError` with the law in words and the numbers that break it.  Whoever adds a family writes
one line of test: ``check_family(MyFamily(), parameters, n_components=3)``.
"""

from .declared import check_declared
from .drawing import draw, with_holes
from .engines import check_acceleration, check_executor, overlapping_mixture
from .families import check_family
from .latents import check_latent, log_path
from .models import check_model
from .normal_models import check_normal_model
from .parameters import check_parameters

__all__ = [
    "check_acceleration",
    "check_declared",
    "check_executor",
    "check_family",
    "check_latent",
    "check_model",
    "check_normal_model",
    "check_parameters",
    "draw",
    "log_path",
    "overlapping_mixture",
    "with_holes",
]
