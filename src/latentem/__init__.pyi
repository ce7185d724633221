from . import (
    acceleration as acceleration,
    datasets as datasets,
    estimators as estimators,
    execution as execution,
    families as families,
    inference as inference,
    io as io,
    latents as latents,
    models as models,
    plots as plots,
    report as report,
    testing as testing,
)
from .acceleration import (
    Anderson as Anderson,
    Auto as Auto,
    Lbfgs as Lbfgs,
    Parabolic as Parabolic,
    QuasiNewton as QuasiNewton,
    Squarem as Squarem,
    SubspaceNewton as SubspaceNewton,
)
from .comparing import compare as compare
from .data import ArraySource as ArraySource, Batch as Batch, Source as Source
from .domains import (
    Correlation as Correlation,
    Interval as Interval,
    LowerTriangular as LowerTriangular,
    Ordered as Ordered,
    Positive as Positive,
    PositiveDefinite as PositiveDefinite,
    Real as Real,
    Simplex as Simplex,
    UnitInterval as UnitInterval,
)
from .em import Acceleration as Acceleration, Executor as Executor, iterate as iterate, run as run
from .errors import (
    DataError as DataError,
    LatentemError as LatentemError,
    ModelFileError as ModelFileError,
    ModelSourceWarning as ModelSourceWarning,
    ParameterError as ParameterError,
)
from .estimators import (
    GMMHMM as GMMHMM,
    BernoulliMixture as BernoulliMixture,
    BetaMixture as BetaMixture,
    CategoricalHMM as CategoricalHMM,
    ConvergenceMonitor as ConvergenceMonitor,
    ExponentialMixture as ExponentialMixture,
    FactorAnalysis as FactorAnalysis,
    FamilyMixture as FamilyMixture,
    FindingWarning as FindingWarning,
    GammaMixture as GammaMixture,
    GaussianHMM as GaussianHMM,
    GaussianMixture as GaussianMixture,
    GeometricMixture as GeometricMixture,
    HiddenMarkovModel as HiddenMarkovModel,
    InverseGaussianMixture as InverseGaussianMixture,
    LatentClassAnalysis as LatentClassAnalysis,
    LinearGaussianStateSpace as LinearGaussianStateSpace,
    LogNormalMixture as LogNormalMixture,
    MixtureModel as MixtureModel,
    MultinomialHMM as MultinomialHMM,
    MultinomialMixture as MultinomialMixture,
    NegativeBinomialMixture as NegativeBinomialMixture,
    PoissonHMM as PoissonHMM,
    PoissonMixture as PoissonMixture,
    ProbabilisticPCA as ProbabilisticPCA,
    StudentTHMM as StudentTHMM,
    StudentTMixture as StudentTMixture,
    VonMisesFisherMixture as VonMisesFisherMixture,
    WeibullMixture as WeibullMixture,
)
from .execution import Processes as Processes, Serial as Serial, Threads as Threads
from .fitting import fit as fit
from .inference import (
    Certificate as Certificate,
    Derived as Derived,
    StandardErrors as StandardErrors,
    Verdict as Verdict,
    certify as certify,
    standard_errors as standard_errors,
)
from .io import (
    Checkpoint as Checkpoint,
    ParquetSource as ParquetSource,
    load as load,
    read_table as read_table,
    save as save,
    write_table as write_table,
)
from .latents import (
    Bernoulli as Bernoulli,
    Categorical as Categorical,
    Continuous as Continuous,
    CovariateMarkovChain as CovariateMarkovChain,
    Integers as Integers,
    MarkovChain as MarkovChain,
    Normal as Normal,
    NormalChain as NormalChain,
    SemiMarkovChain as SemiMarkovChain,
    banded as banded,
    blocks as blocks,
    left_to_right as left_to_right,
)
from .model import (
    Family as Family,
    Latent as Latent,
    LatentVariableModel as LatentVariableModel,
    ModelParameters as ModelParameters,
    Posterior as Posterior,
    Prior as Prior,
)
from .models.declared import (
    DeclaredModel as DeclaredModel,
    DeclaredParameters as DeclaredParameters,
    latent_variable_model as latent_variable_model,
)
from .online.incremental import Incremental as Incremental
from .online.stepwise import OnlineState as OnlineState, StepSize as StepSize
from .parameters import Parameters as Parameters, parameter as parameter
from .result import EMResult as EMResult, Finding as Finding, Iteration as Iteration, Status as Status, Step as Step
from .statistics import Expectation as Expectation, LocalQ as LocalQ, Reference as Reference, Statistics as Statistics
from .streaming import OnlineEM as OnlineEM, online_fit as online_fit
from .variants import (
    Annealing as Annealing,
    Classification as Classification,
    EStep as EStep,
    Stochastic as Stochastic,
)

__version__: str
