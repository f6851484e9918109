"""What the tests measured: each comparison with `pytest.approx`, and how each test ended, as lines of JSON for the documentation.

Set DESIGNTOOLS_MEASURED to a folder; `docs/website.py` makes the page of validation from what lies there.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest


class Measured:
    """A plugin of pytest that writes into one file per process."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path, self._inside, self._rows = folder / f"{os.getpid()}.jsonl", False, []
        for kind in {type(pytest.approx(value)) for value in (1.0, np.zeros(2), [1.0], {'a': 1.0})}:
            kind.__eq__ = self._watched(kind.__eq__)

    def _watched(self, compare):
        def equal(approx, actual):
            if self._inside:
                return compare(approx, actual)
            self._inside = True
            try:
                verdict = compare(approx, actual)
            finally:
                self._inside = False
            self._note(approx, actual)
            return verdict

        return equal

    def _note(self, approx, actual) -> None:
        try:
            expected, found = (np.asarray(list(v.values()) if isinstance(v, dict) else v, complex).ravel() for v in (approx.expected, actual))
            scale = np.abs(expected).max()
            row = {"difference": float(np.abs(found - expected).max()), "scale": float(scale), "rel": approx.rel, "abs": approx.abs, "count": found.size}
            real = found.size == 1 and expected[0].imag == found[0].imag == 0
            self._rows.append(row | ({"expected": expected[0].real, "actual": found[0].real} if real else {}))
        except (TypeError, ValueError):
            return

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        """Once a test has run, in the process that ran it."""
        report = yield
        if report.when == "call":
            words = (getattr(item.function, "__doc__", None) or "").strip().partition("\n\n")[0]
            record = {"test": item.nodeid, "words": " ".join(words.split()), "outcome": report.outcome, "seconds": report.duration, "measured": self._rows}
            with self._path.open("a", encoding="utf-8") as out:
                out.write(json.dumps(record, default=float) + "\n")
            self._rows = []
        return report
