"""Tables of categories: looked up and counted as by NumPy's indexing."""

from __future__ import annotations

import numpy as np
import pytest

from latentem.kernels.lookup import count_codes, look_up


@pytest.mark.parametrize(("n_states", "n"), [(1, 1), (3, 511), (4, 512), (7, 513), (32, 2000)])
def test_tables_are_looked_up_and_codes_counted(either: str, n_states: int, n: int) -> None:
    rng = np.random.default_rng(n)
    codes = rng.integers(6, size=(2, n)).astype(np.int32)
    tables = [rng.normal(size=(n_states, 6)), rng.normal(size=(n_states, 9))]
    tables[0][0, 3] = -np.inf
    assert np.array_equal(look_up(tables, codes), tables[0][:, codes[0]] + tables[1][:, codes[1]])
    weights = rng.random((n_states, n))
    expected = np.stack([[row[codes[0] == c].sum() for c in range(9)] for row in weights])
    np.testing.assert_allclose(count_codes(weights, codes[0], 9), expected, rtol=1e-13)
