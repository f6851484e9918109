"""The vector forms of log1p and arctan2 against NumPy, and their stated slopes."""

import jax
import numpy as np

from designtools.kernels.elementary import arctan2, log1p

RNG = np.random.default_rng(0)


def test_log1p_over_all_magnitudes():
    u = np.concatenate(
        [10 ** RNG.uniform(-20, 300, 5000), 10 ** RNG.uniform(-2, 1, 5000), [0.0, 0.41421356, 0.4142136]]
    )
    np.testing.assert_allclose(log1p(u), np.log1p(u), rtol=5e-16, atol=0)


def test_arctan2_in_all_octants():
    angle, size = RNG.uniform(-np.pi, np.pi, 5000), 10 ** RNG.uniform(-100, 100, 5000)
    y = np.append(size * np.sin(angle), [0.0, 0.0, 1.0, -1.0])
    x = np.append(size * np.cos(angle), [1.0, -1.0, 0.0, 0.0])
    np.testing.assert_allclose(arctan2(y, x), np.arctan2(y, x), rtol=5e-16, atol=0)


def test_slopes():
    np.testing.assert_allclose(jax.grad(log1p)(0.3), 1 / 1.3, rtol=1e-15)
    np.testing.assert_allclose(jax.grad(arctan2, (0, 1))(1.0, -2.0), (-0.4, -0.2), rtol=1e-15)
