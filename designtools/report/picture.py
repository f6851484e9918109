"""A still picture of a design for notebooks: its lines in space seen askew, as SVG without script or text of the design."""

from __future__ import annotations

import numpy as np

from designtools.export import bodies
from designtools.report import figures as draw

SIDE = 260  # px
POINTS = 6000  # of all lines together
VIEW = np.array([[0.82, -0.57, 0.0], [0.25, 0.36, 0.90]])  # right and up of a viewer above and aside


def picture(result) -> str:
    """Windings, loops, outlines of blocks and magnets; "" where there is nothing to draw."""
    lines = _windings(result) + _sources(result)
    lines = [(points, colour) for points, colour in lines if len(points) > 1 and np.isfinite(points).any()]
    if not lines:
        return ""
    flat = [(points @ VIEW.T * (1, -1), colour) for points, colour in lines]
    every = np.concatenate([points for points, _ in flat])
    low, high = np.nanmin(every, axis=0), np.nanmax(every, axis=0)
    scale = (SIDE - 10) / max(*(high - low), 1e-12)
    paths = "".join(_path((points - low) * scale + 5, colour) for points, colour in flat)
    width, height = ((high - low) * scale + 10).round().astype(int)
    return f'<svg role="img" aria-label="picture of the design" width="{width}" height="{height}" style="display:block">{paths}</svg>'


def _windings(result):
    tracks = [(track.points, bodies.colour_of(k)) for k, winding in enumerate(result.windings) for track in winding.tracks]
    stride = max(1, sum(len(points) for points, _ in tracks) // POINTS)
    return [(np.append(points[::stride], points[-1:], axis=0), colour) for points, colour in tracks]


def _sources(result):
    lines = []
    for leaf in bodies.bare_sources(result):
        rows = _LINES.get(type(leaf).__name__, lambda leaf: [])(leaf)
        lines += [(points, bodies.colour_of(len(result.windings))) for points in rows]
    return lines


def _loops(loops):
    angle = np.linspace(0, 2 * np.pi, 41)
    rings = []
    for centre, normal, radius in zip(*map(np.asarray, (loops.centre, loops.normal, loops.radius))):
        across = np.cross(normal, np.eye(3)[np.argmin(np.abs(normal))])
        up = np.cross(normal, across)
        basis = np.stack([v / np.linalg.norm(v) for v in (across, up)])
        rings.append(centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1) @ basis)
    return rings


def _blocks(blocks):
    angle = np.linspace(0, 2 * np.pi, 61)
    ring = lambda r, z: np.stack([r * np.cos(angle), r * np.sin(angle), np.full_like(angle, z)], axis=1)
    return [ring(r, z) for a, b, low, high in bodies.block_rings(blocks) for r, z in ((a, low), (b, low), (a, high), (b, high))]


def _magnets(magnets):
    corners = bodies.magnet_corners(magnets)
    corners = corners[:: max(1, len(corners) // 400)]
    return [box[list(quad) + [quad[0]]] for box in corners for quad in bodies.BOX_QUADS[:3]]


def _filaments(filaments):
    return [draw._joined(bodies.chains(filaments), POINTS)]


_LINES = {"Loops": _loops, "Blocks": _blocks, "Magnets": _magnets, "Filaments": _filaments}


def _path(points, colour: str) -> str:
    """One SVG path; a row of NaN lifts the pen."""
    pieces, pen = [], "M"
    for x, y in points:
        if np.isnan(x):
            pen = "M"
            continue
        pieces.append(f"{pen}{x:.1f} {y:.1f}")
        pen = "L"
    return f'<path d="{"".join(pieces)}" fill="none" stroke="{colour}" stroke-width="1"/>'
