import jax
import pytest
"""64-bit arithmetic for every test, and compiled code kept between runs."""

import jax
import pytest

from designtools import precision

precision.enable()


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_file():
    """Compiled programs are dropped after each file: thousands of them in one process exhaust its memory maps."""
    yield
    jax.clear_caches()
