"""64-bit arithmetic for every test, one thread of linear algebra per worker, compiled code kept within a file."""

import os
import signal
from pathlib import Path

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a run in the background ignores Ctrl-C, and so would the programs it starts
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "PYTEST_XDIST_WORKER" in os.environ:  # before numpy is first imported: workers that each take all cores stall each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax
import pytest

from designtools import precision

precision.enable()


def pytest_configure(config):
    """Where asked, what the tests measure is kept for the documentation; the first process begins anew."""
    if folder := os.environ.get("DESIGNTOOLS_MEASURED"):
        from measured import Measured

        if "PYTEST_XDIST_WORKER" not in os.environ:
            [old.unlink() for old in Path(folder).glob("*.jsonl")]
        config.pluginmanager.register(Measured(Path(folder)))


@pytest.fixture(scope="module", autouse=True)
def programs_of_one_file():
    """Compiled programs are dropped after each file: thousands of them in one process exhaust its memory maps."""
    yield
    jax.clear_caches()
