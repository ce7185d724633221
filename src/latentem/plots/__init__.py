"""Pictures of fits: `draw_…(what, …, ax=None) → Axes`.  Matplotlib is imported when something is drawn."""

from .ascent import draw_ascent
from .bic import draw_bic
from .comparison import draw_comparison
from .forecast import draw_forecast
from .loadings import draw_loadings
from .mixture import draw_mixture
from .sequence import draw_sequence

__all__ = [
    "draw_ascent",
    "draw_bic",
    "draw_comparison",
    "draw_forecast",
    "draw_loadings",
    "draw_mixture",
    "draw_sequence",
]
