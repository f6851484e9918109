"""Limits of the specific absorption rate by profile (standard and mode), as data with their status."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple


class Profiles(NamedTuple):
    """Profile -> figure -> limit (W/kg; local values for head and trunk), and how far the numbers are confirmed."""

    limits: dict[str, dict[str, float]]
    status: str


def profiles() -> Profiles:
    """All profiles of the file that ships with the package."""
    read = json.loads((resources.files(__package__) / "sar_limits.json").read_text(encoding="utf-8"))
    return Profiles(read["profiles"], read["status"])
