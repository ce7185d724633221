"""The contracts: `Posterior`, `Family`, `Latent`, and `LatentVariableModel`, which joins the two.

A mixture is Categorical × family, a hidden Markov model is MarkovChain × the same family.  A model
with one component is itself a family, so models nest.  No code anywhere is written for a pair.
"""

from .blocks import LONG as LONG
from .checking import (
    check_batch as check_batch,
    check_source as check_source,
)
from .contracts import (
    SMALLEST_TERMS as SMALLEST_TERMS,
    Density as Density,
    Family as Family,
    Fold as Fold,
    Held as Held,
    Latent as Latent,
    LongGroup as LongGroup,
    Mask as Mask,
    Model as Model,
    Posterior as Posterior,
    hold as hold,
)
from .joined import (
    LatentVariableModel as LatentVariableModel,
    ModelParameters as ModelParameters,
    ModelStatistics as ModelStatistics,
)
from .points import (
    sequence_points as sequence_points,
    unit_points as unit_points,
)
from .prior import Prior as Prior
