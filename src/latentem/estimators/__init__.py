"""scikit-learn faces of the models."""

from .factor_analysis import FactorAnalysis, ProbabilisticPCA
from .family_mixture import FamilyMixture
from .findings import FindingWarning
from .gaussian_mixture import GaussianMixture
from .latent_class_analysis import LatentClassAnalysis
from .mixture_model import MixtureModel
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
    "ExponentialMixture",
    "FactorAnalysis",
    "FamilyMixture",
    "FindingWarning",
    "GammaMixture",
    "GaussianMixture",
    "GeometricMixture",
    "InverseGaussianMixture",
    "LatentClassAnalysis",
    "LinearGaussianStateSpace",
    "LogNormalMixture",
    "MixtureModel",
    "MultinomialMixture",
    "NegativeBinomialMixture",
    "PoissonMixture",
    "ProbabilisticPCA",
    "StudentTMixture",
    "VonMisesFisherMixture",
    "WeibullMixture",
]
