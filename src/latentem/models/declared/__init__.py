"""Models that the user declares by their joint density p(x, z; θ)."""

from . import quiet_jax as quiet_jax  # before anything else that imports JAX
from .declaration import Declaration, latent_variable_model
from .model import DeclaredModel
from .parameters import DeclaredParameters
from .preparing import prepare

__all__ = ["Declaration", "DeclaredModel", "DeclaredParameters", "latent_variable_model", "prepare"]
