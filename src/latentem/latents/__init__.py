"""Latents: p(z; θ) and how its posterior is found, one file each; and what z may be in declared models."""

from .categorical import Categorical
from .markov_chain import MarkovChain
from .normal import Normal
from .normal_chain import NormalChain
from .spaces import Bernoulli, Continuous, Integers

__all__ = ["Bernoulli", "Categorical", "Continuous", "Integers", "MarkovChain", "Normal", "NormalChain"]
