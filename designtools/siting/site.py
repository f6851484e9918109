"""The place around a magnet as plain lengths: scanner, room, zones, plates, and the three views they are drawn in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from designtools.siting.contours import Plane
from designtools.units import parse

LEVELS = {"0p5mT": 0.5e-3, "0p9mT": 0.9e-3}  # T; editions of IEC 60601-2-33 draw the line at one or the other


class Prism(NamedTuple):
    """A named space: `outline` (n,2) m across and along, `bottom` and `top` m above the ISOCENTRE."""

    name: str
    outline: np.ndarray
    bottom: float
    top: float
    limit: float | None = None


class Fault(NamedTuple):
    """A named set of coils that lose their current; see `faults.without`."""

    name: str
    lost: Any


class View(NamedTuple):
    """One of the three views: its name, its axes among (across, along, height), and the axis it looks along."""

    name: str
    axes: tuple[int, int]
    depth: int


VIEWS = (View("plan", (0, 1), 2), View("side", (1, 2), 0), View("end", (0, 2), 1))
AXIS_NAMES = ("across the bore", "along the bore", "height above the isocentre")


@dataclass(frozen=True)
class Site:
    """Everything that a siting drawing shows beside the field; lengths in m from the isocentre.

    directions (3,3): unit vectors across, along (horizontally, the bore's direction) and up; `vertical`: the bore
    points up instead.
    """

    directions: np.ndarray
    levels: Mapping[str, float]
    floor: float
    scanner: Prism | None = None
    bore: float | None = None
    room: Prism | None = None
    wall: float = 0.0
    doors: tuple[tuple[str, np.ndarray], ...] = ()
    zones: tuple[Prism, ...] = ()
    faults: tuple[Fault, ...] = ()
    plates: tuple[Prism, ...] = ()
    vertical: bool = False

    def plane(self, view: View, depth: float = 0.0) -> Plane:
        """The plane of a view, `depth` m from the isocentre."""
        first, second = (tuple(self.directions[k]) for k in view.axes)
        return Plane(tuple(depth * self.directions[view.depth]), first, second)

    def points(self, local) -> np.ndarray:
        """Points (n,3) m in the coordinates of the source, of (across, along, height) (n,3) m."""
        return np.asarray(local) @ self.directions


def site_of(siting: Mapping[str, Any], bore_axis=(0.0, 0.0, 1.0)) -> Site:
    """The site that the `siting` section of a resolved spec describes; its lengths may be texts with units."""
    length = lambda value: parse(value, "length")
    directions = _directions(axis_of(siting.get("up", "y")), axis_of(bore_axis))
    floor = -length(siting.get("isocentre_height", 1.0))
    above = lambda value: floor + length(value)
    extra = [parse(level, "field") for level in siting.get("levels") or ()]
    levels = LEVELS | {level_name(level): level for level in sorted(extra)}
    room, scanner = siting.get("room"), siting.get("scanner")
    return Site(
        directions, levels, floor,
        scanner=_scanner(scanner, floor, length) if scanner else None,
        bore=length(scanner["bore"]) if scanner and scanner.get("bore") else None,
        room=Prism("room", _outline(room["outline"]), floor, above(room.get("height", 2.8))) if room else None,
        wall=length(room.get("wall", 0.2)) if room else 0.0,
        doors=tuple((d.get("name", "door"), _outline([d["start"], d["end"]])) for d in room.get("doors") or ()) if room else (),
        zones=tuple(
            Prism(z["name"], _outline(z["outline"]), above(z.get("bottom", 0.0)), above(z.get("top", 2.0)), parse(z["limit"], "field"))
            for z in siting.get("zones") or ()
        ),
        faults=tuple(Fault(f["name"], f.get("lost", "shield")) for f in siting.get("faults") or ()),
        plates=tuple(_plate(p, length, above) for p in siting.get("plates") or ()),
        vertical=bool(abs(directions[2] @ axis_of(bore_axis)) > 0.87),
    )  # fmt: skip


def level_name(level: float) -> str:
    """How a level (T) is called in names of files, layers and figures: "0p5mT"."""
    return f"{level * 1e3:.6g}mT".replace(".", "p")


def axis_of(axis) -> np.ndarray:
    """A unit vector of "x", "-z" or three numbers."""
    if isinstance(axis, str):
        return (-1.0 if axis.startswith("-") else 1.0) * np.eye(3)["xyz".index(axis[-1])]
    return np.asarray(axis, float) / np.linalg.norm(axis)


def _directions(up, bore) -> np.ndarray:
    """Across, along, up.  A bore that is nearly vertical has no horizontal direction: x (or y) then counts as along."""
    along = bore - (bore @ up) * up
    if np.linalg.norm(along) < 0.5:
        along = next(e for e in np.eye(3) if abs(e @ up) < 0.5)
        along = along - (along @ up) * up
    along = along / np.linalg.norm(along)
    return np.array([np.cross(up, along), along, up]) + 0.0


def _outline(corners) -> np.ndarray:
    return np.array([[parse(value, "length") for value in corner] for corner in corners])


def _box(across, along) -> np.ndarray:
    return np.array([[across[0], along[0]], [across[1], along[0]], [across[1], along[1]], [across[0], along[1]]])


def _scanner(scanner, floor: float, length) -> Prism:
    width, along = length(scanner["width"]) / 2, length(scanner["length"]) / 2
    return Prism("scanner", _box((-width, width), (-along, along)), floor, floor + length(scanner["height"]))


def _plate(plate, length, above) -> Prism:
    across, along = ([length(v) for v in plate[key]] for key in ("across", "along"))
    low, high = (above(v) for v in plate["height"])
    return Prism(plate["name"], _box(across, along), low, high)
