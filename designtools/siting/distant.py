"""Magnets of many pieces seen from a distance: multipoles as soon as they are good enough for a siting drawing."""

from __future__ import annotations

import numpy as np

from designtools.fringe import FarSighted
from designtools.harmonics.elements import has_rules
from designtools.harmonics.exterior import revolves
from designtools.harmonics.multipoles import multipoles

ENOUGH = 1e-7  # T: a five-thousandth of the weakest line that is drawn
ORDERS = (12, 32)  # of the series, the farther one first
MANY = 200  # pieces below which nothing is gained
DIRECTIONS = 600  # on the sphere where a series is compared with its source


def distant(source, pieces: int):
    """The source, answering from multipoles where these are within 1e-7 T of it, as far out as that holds.

    pieces: number of elements of the source.  The difference of two fields without sources outside a sphere is largest on
    the sphere, so comparing them there bounds it everywhere beyond.  Bodies of revolution come back as they are: theirs is
    a series that costs nothing.
    """
    if pieces < MANY or revolves(source) or not has_rules(source):
        return source
    seen = source
    for order in reversed(ORDERS):
        series = multipoles(source, order, np.zeros(3))
        reach = _good_from(source, series)
        seen = FarSighted(seen, series, reach, np.zeros(3)) if np.isfinite(reach) else seen
    return seen


def _good_from(source, series) -> float:
    """Least radius (m) of a sphere on which the series is within ENOUGH of the source."""
    i = np.arange(DIRECTIONS) + 0.5
    height, turn = 1 - 2 * i / DIRECTIONS, np.pi * (1 + 5**0.5) * i
    across = np.sqrt(1 - height**2)
    sphere = np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
    for radius in series.radius * np.geomspace(1.15, 6, 24):
        points = radius * sphere
        if np.abs(np.asarray(series.field(points)) - np.asarray(source.field(points))).max() < ENOUGH:
            return float(radius)
    return np.inf
