"""scikit-learn faces of the models."""

from .count_hmms import CategoricalHMM, MultinomialHMM, PoissonHMM
from .factor_analysis import FactorAnalysis, ProbabilisticPCA
from .family_hmms import HiddenMarkovModel, StudentTHMM
from .family_mixture import FamilyMixture
from .findings import FindingWarning
from .gaussian_hmm import GaussianHMM
from .gaussian_mixture import GaussianMixture
from .gmm_hmm import GMMHMM
from .latent_class_analysis import LatentClassAnalysis
from .mixture_model import MixtureModel
from .monitor import ConvergenceMonitor
from .named_mixtures import (
    BernoulliMixture,
    BetaMixture,
    ExponentialMixture,
    GammaMixture,
    GeometricMixture,
    InverseGaussianMixture,
    LogNormalMixture,
    MultinomialMixture,
    NegativeBinomialMixture,
    PoissonMixture,
    VonMisesFisherMixture,
    WeibullMixture,
)
from .state_space import LinearGaussianStateSpace
from .student_t_mixture import StudentTMixture

__all__ = [
    "BernoulliMixture",
    "BetaMixture",
    "CategoricalHMM",
    "ConvergenceMonitor",
    "ExponentialMixture",
    "FactorAnalysis",
    "FamilyMixture",
    "FindingWarning",
    "GMMHMM",
    "GammaMixture",
    "GaussianHMM",
    "GaussianMixture",
    "GeometricMixture",
    "HiddenMarkovModel",
    "InverseGaussianMixture",
    "LatentClassAnalysis",
    "LinearGaussianStateSpace",
    "LogNormalMixture",
    "MixtureModel",
    "MultinomialHMM",
    "MultinomialMixture",
    "NegativeBinomialMixture",
    "PoissonHMM",
    "PoissonMixture",
    "StudentTHMM",
    "ProbabilisticPCA",
    "StudentTMixture",
    "VonMisesFisherMixture",
    "WeibullMixture",
]
