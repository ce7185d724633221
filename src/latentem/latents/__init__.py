"""Latents: p(z; θ) and how its posterior is found, one file each."""

from .categorical import Categorical
from .markov_chain import MarkovChain

__all__ = ["Categorical", "MarkovChain"]
