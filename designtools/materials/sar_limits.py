"""Limits of the specific absorption rate by profile (standard and mode), as data with source and status."""

from __future__ import annotations

import json
from importlib import resources
from typing import NamedTuple


class SARLimit(NamedTuple):
    """Figure, limit (W/kg), what part of the body a local limit holds for, how far the number is confirmed, where it is from."""

    figure: str
    limit: float
    site: str
    status: str
    source: str
    averaging: float  # s


class PartialBody(NamedTuple):
    """Limit (W/kg) over the exposed part: at_once - less * (exposed mass)/(mass of the patient)."""

    at_once: float
    less: float
    status: str

    def limit(self, exposed: float) -> float:
        """For the exposed share of the patient's mass."""
        return self.at_once - self.less * exposed


class Profile(NamedTuple):
    """All limits of one standard in one mode; partial body where it knows one."""

    limits: tuple[SARLimit, ...]
    partial_body: PartialBody | None

    def of(self, site: str) -> dict[str, SARLimit]:
        """Figure -> limit, with the local limits of the site."""
        return {l.figure: l for l in self.limits if l.site in ("", site)}


def profiles() -> dict[str, Profile]:
    """All profiles of the file that ships with the package, by name."""
    read = json.loads((resources.files(__package__) / "sar_limits.json").read_text(encoding="utf-8"))
    return {name: _profile(data) for name, data in read["profiles"].items()}


def status() -> str:
    """How far the numbers are confirmed, all in all."""
    return json.loads((resources.files(__package__) / "sar_limits.json").read_text(encoding="utf-8"))["status"]


def _profile(data) -> Profile:
    limits = tuple(
        SARLimit(name.split(",")[0], row["limit"], row.get("site", ""), row["status"], data["source"], data["averaging_s"])
        for name, row in data["limits"].items()
    )
    partial = data.get("partial_body")
    return Profile(limits, PartialBody(partial["at_once"], partial["less_by_exposed_share"], partial["status"]) if partial else None)
