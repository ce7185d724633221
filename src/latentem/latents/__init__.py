"""Latents: p(z; θ) and how its posterior is found, one file each; and what z may be in declared models."""

from .categorical import Categorical
from .markov_chain import MarkovChain
from .patterns import banded, blocks, left_to_right
from .spaces import Bernoulli, Continuous, Integers, Normal

__all__ = [
    "Bernoulli",
    "Categorical",
    "Continuous",
    "Integers",
    "MarkovChain",
    "Normal",
    "banded",
    "blocks",
    "left_to_right",
]
