"""64-bit arithmetic for every test, one thread of linear algebra per worker, compiled code kept within a file."""

import os
import signal

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a run in the background ignores Ctrl-C, and so would the programs it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:  # before numpy is first imported: workers that each take all cores stall each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import pytest

from designtools import precision

precision.enable()


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_file():
    """Compiled programs are dropped after each file: thousands of them in one process exhaust its memory maps."""
    yield
    jax.clear_caches()
