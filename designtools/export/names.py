"""File names from what people call things."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path


def file_stem(name: str) -> str:
    """A safe file name: letters, digits, `_`, `-` and `.` stay, runs of anything else become one `_`."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", str(name)).strip("._")
    return stem[:80] or "design"


def distinct_stems(names: Iterable[str]) -> list[str]:
    """One safe stem per name, none twice (case does not distinguish files everywhere)."""
    stems: list[str] = []
    for name in names:
        stem, count = file_stem(name), 2
        while stem.lower() in (taken.lower() for taken in stems):
            stem, count = f"{file_stem(name)}-{count}", count + 1
        stems.append(stem)
    return stems


def siblings(path: Path, names: Iterable[str]) -> list[Path]:
    """One path per name: `path` itself for a single one, else `stem-name.ext` beside it."""
    stems = distinct_stems(names)
    if len(stems) == 1:
        return [path]
    ending = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    base = path.name[: len(path.name) - len(ending)] if ending else path.name
    return [path.with_name(f"{base}-{stem}{ending}") for stem in stems]
