"""Latents: p(z; θ) and how its posterior is found, one file each; and what z may be in declared models."""

from .categorical import Categorical
from .covariate_markov_chain import CovariateMarkovChain
from .markov_chain import MarkovChain
from .normal import Normal
from .normal_chain import NormalChain
from .patterns import banded, blocks, left_to_right
from .semi_markov_chain import SemiMarkovChain
from .spaces import Bernoulli, Continuous, Integers

__all__ = [
    "Bernoulli",
    "Categorical",
    "Continuous",
    "CovariateMarkovChain",
    "Integers",
    "MarkovChain",
    "Normal",
    "NormalChain",
    "SemiMarkovChain",
    "banded",
    "blocks",
    "left_to_right",
]
