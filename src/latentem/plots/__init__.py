"""Pictures of fits: `draw_…(what, …, ax=None) → Axes`.  Matplotlib is imported when something is drawn.

Where numbers are computed for a picture, a `…Display` holds them, and its `plot(ax)` draws them.
"""

from .ascent import AscentDisplay, draw_ascent
from .basins import BasinsDisplay, draw_basins
from .bic import BICDisplay, draw_bic
from .bound import BoundDisplay, draw_bound
from .comparison import ComparisonDisplay, draw_comparison
from .display import Display
from .forecast import ForecastDisplay, draw_forecast
from .gains import GainsDisplay, draw_gains
from .item_curves import ItemDisplay, draw_item_curves, draw_test_information
from .item_profile import ItemProfileDisplay, draw_item_profile
from .loadings import LoadingsDisplay, draw_loadings
from .mixture import MixtureDisplay, draw_mixture
from .profile import ProfileDisplay, draw_profile
from .rootogram import RootogramDisplay, draw_rootogram
from .sequence import SequenceDisplay, draw_sequence
from .transitions import TransitionDisplay, draw_transitions
from .uncertainty import UncertaintyDisplay, draw_uncertainty

__all__ = [
    "AscentDisplay",
    "BICDisplay",
    "BasinsDisplay",
    "BoundDisplay",
    "ComparisonDisplay",
    "Display",
    "ForecastDisplay",
    "GainsDisplay",
    "ItemDisplay",
    "ItemProfileDisplay",
    "LoadingsDisplay",
    "MixtureDisplay",
    "ProfileDisplay",
    "RootogramDisplay",
    "SequenceDisplay",
    "TransitionDisplay",
    "UncertaintyDisplay",
    "draw_ascent",
    "draw_basins",
    "draw_bic",
    "draw_bound",
    "draw_comparison",
    "draw_forecast",
    "draw_gains",
    "draw_item_curves",
    "draw_item_profile",
    "draw_loadings",
    "draw_mixture",
    "draw_profile",
    "draw_rootogram",
    "draw_sequence",
    "draw_test_information",
    "draw_transitions",
    "draw_uncertainty",
]
