"""JAX, imported without a trace: its import draws from NumPy's global generator, whose state is put back."""

import numpy as np

_state = np.random.get_state()  # noqa: NPY002 - to put it back
import jax  # noqa: E402
import jax.scipy.stats  # noqa: E402

np.random.set_state(_state)  # noqa: NPY002

__all__ = ["jax"]
