"""What is observed, given the latent state: distributions of rows, and wrappers that build others from them."""

from .autoregression import Autoregression
from .bernoulli import Bernoulli
from .beta import Beta
from .categorical import CategoricalColumns
from .columnwise import ColumnwiseExponential
from .components import Components
from .conjugate import Conjugate, ConjugatePrior, NormalInverseWishart, PseudoCounts
from .constrained import Constrained
from .exponential import Exponential
from .gamma import Gamma
from .gaussian import DiagonalGaussian, FullGaussian, SphericalGaussian, TiedGaussian
from .geometric import Geometric
from .inverse_gaussian import InverseGaussian
from .linear_gaussian import LinearGaussian
from .linear_regression import LinearRegression
from .local import LocalColumnwise
from .log_normal import LogNormal
from .logistic_regression import LogisticRegression
from .multinomial import Multinomial
from .negative_binomial import NegativeBinomial
from .plate import Plate
from .poisson import Poisson
from .poisson_regression import PoissonRegression
from .product import PerColumn, Product
from .student_t import FullStudentT
from .student_t_diagonal import DiagonalStudentT
from .truncated import Truncated
from .uniform_noise import UniformNoise
from .von_mises_fisher import VonMisesFisher
from .weibull import Weibull
from .zero_inflated import ZeroInflated

__all__ = [
    "Autoregression",
    "Bernoulli",
    "Beta",
    "CategoricalColumns",
    "ColumnwiseExponential",
    "Components",
    "Conjugate",
    "ConjugatePrior",
    "Constrained",
    "DiagonalGaussian",
    "DiagonalStudentT",
    "Exponential",
    "FullGaussian",
    "FullStudentT",
    "Gamma",
    "Geometric",
    "InverseGaussian",
    "LinearRegression",
    "LinearGaussian",
    "LocalColumnwise",
    "LogNormal",
    "LogisticRegression",
    "Multinomial",
    "NegativeBinomial",
    "NormalInverseWishart",
    "PerColumn",
    "Plate",
    "Poisson",
    "PoissonRegression",
    "Product",
    "PseudoCounts",
    "SphericalGaussian",
    "TiedGaussian",
    "Truncated",
    "UniformNoise",
    "VonMisesFisher",
    "Weibull",
    "ZeroInflated",
]
