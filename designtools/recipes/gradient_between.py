"""Where the field strays between the points at which it is held: looked for round those that bind, and held there too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from designtools.recipes.gradient_problem import allowed_error
from designtools.recipes.gradient_setting import TARGET_ORDER, Setting
from designtools.regions import Region

MOST_ADDED = 60  # points at once
NEAR, BETWEEN = 0.9, 5e-4  # of the error allowed: where the field is looked at between points, how much it may exceed


def beyond(setting: Setting, source) -> np.ndarray:
    """Places (n,3) on the region's surface, round the points that bind, where the field error of `source` exceeds what is allowed."""
    held = np.concatenate([setting.target.points, *(r.points for r in setting.between)])
    near = _round_about(setting, held[_error(setting, source, held) > NEAR * allowed_error(setting)])
    error = _error(setting, source, near) / allowed_error(setting)
    worst = np.argsort(-error)[:MOST_ADDED]
    return near[worst[error[worst] > 1 + BETWEEN]]


def held_at(setting: Setting, points) -> Setting:
    """The setting with the field held at further points (n,3) m."""
    more = Region(points, np.full(len(points), 1 / len(points)), "between")
    return replace(setting, between=(*setting.between, more))


def _error(setting: Setting, source, points) -> np.ndarray:
    """|B·b0 - strength * u| (T) of a source at points (P,3) m."""
    made = np.asarray(source.field(points)) @ setting.b0
    return np.abs(made - setting.spec.target.strength * setting.distance(points))


def _round_about(setting: Setting, points) -> np.ndarray:
    """Places on the region's surface, half a spacing of the target points away from each of `points` in eight directions."""
    half_widths = np.asarray(setting.spec.region.half_widths)
    unit = (points - setting.centre) / half_widths
    first = np.cross(unit, np.eye(3)[np.argmin(np.abs(unit), axis=1)])
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    turn = 2 * np.pi * np.arange(8)[:, None, None] / 8
    aside = unit + np.pi / TARGET_ORDER * (np.cos(turn) * first + np.sin(turn) * np.cross(unit, first))
    aside = (aside / np.linalg.norm(aside, axis=2, keepdims=True)).reshape(-1, 3)
    return setting.centre + aside * half_widths
