"""KiCad boards in millimetres: each planar winding as copper on layers, joined by vias.

What lies in the surface goes on the front; returns, links and leads, which are lifted off it, on further layers by their
height; a step from one height to another is a via between those layers.  One file per winding.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from designtools.export.flat import former_of
from designtools.export.names import distinct_stems

MILLIMETRES = 1e3
MARGIN = 0.005  # m of board beyond the copper
DRILL, RING = 0.3, 0.15  # mm: smallest drill and annular ring that board makers take without a surcharge
MOST_LAYERS = 32
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # identifiers follow from the content: same design, same file


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    return "" if _planar(result) else "the design has no winding on a plane"


def _planar(result) -> list:
    """(winding, its plate) of each winding that lies on a plane."""
    found = [(w, former_of(w, result.formers)) for w in result.windings]
    return [(w, f) for w, f in found if type(f).__name__ == "Plate"]


def write(result, path: Path) -> tuple[Path, ...]:
    """One .kicad_pcb (format of KiCad 7) per planar winding; several get its name behind that of the file."""
    pairs = _planar(result)
    stems = distinct_stems(w.name for w, _ in pairs)
    paths = [path] if len(pairs) == 1 else [path.with_name(f"{path.stem}-{stem}{path.suffix}") for stem in stems]
    for (winding, plate), target in zip(pairs, paths):
        target.write_text(board(winding, plate), encoding="utf-8")
    return tuple(paths)


def board(winding, plate) -> str:
    """The text of a board."""
    heights, levels = _levels(winding, plate)
    names = layer_names(max(2, len(heights)))
    copper, vias, corners = [], [], []
    for track, level in zip(winding.tracks, levels):
        flat = _flat(plate, track.points)
        corners.append(flat)
        for a, b, first, second in zip(flat[:-1], flat[1:], level[:-1], level[1:]):
            if first != second:
                vias.append(_via(b, winding.width, names, first, second))
            if np.linalg.norm(b - a) > 1e-6:
                copper.append(_segment(a, b, winding.width, names[min(first, second) if first != second else first]))
    outline = _outline(np.concatenate(corners), plate)
    return "\n".join(["(kicad_pcb (version 20221018) (generator designtools)", *_head(names, winding), *outline, *copper, *vias, ")", ""])


def layer_names(count: int) -> list[str]:
    """Copper layers from the front to the back."""
    if count > MOST_LAYERS:
        raise ValueError(f"a board has at most {MOST_LAYERS} copper layers, got {count} heights of conductor; lower winding.turns or leave it unjoined")
    return ["F.Cu", *(f"In{k}.Cu" for k in range(1, count - 1)), "B.Cu"]


def _levels(winding, plate) -> tuple[np.ndarray, list[np.ndarray]]:
    """The heights (m) over the plate at which conductor lies, and the number of that of each point of each track."""
    lifts = [(t.points - plate.centre) @ plate.frame[2] for t in winding.tracks]
    every = np.sort(np.concatenate([np.abs(lift) for lift in lifts]))
    steps = np.flatnonzero(np.diff(every) > winding.thickness / 2)
    groups = np.split(every, steps + 1)
    heights = np.array([group.mean() for group in groups])
    return heights, [np.argmin(np.abs(np.abs(lift)[:, None] - heights), axis=1) for lift in lifts]


def _flat(plate, points) -> np.ndarray:
    """Board coordinates (n,2) mm: KiCad's y points down."""
    return plate.unroll(plate.inverse(points)) * MILLIMETRES * (1, -1)


def _head(names, winding) -> list[str]:
    number = {name: 31 if name == "B.Cu" else k for k, name in enumerate(names)}
    layers = [f'    ({number[name]} "{name}" signal)' for name in names] + ['    (44 "Edge.Cuts" user)']
    return ["  (general (thickness 1.6))", '  (paper "A1")', "  (layers", *layers, "  )", "  (setup (pad_to_mask_clearance 0))", '  (net 0 "")', f'  (net 1 "{winding.name}")']


def _outline(copper, plate) -> list[str]:
    """The plate, or more where leads reach beyond it."""
    (u0, u1), (v0, v1) = (np.array(side) * MILLIMETRES for side in plate.span)
    low = np.minimum(copper.min(axis=0) - MARGIN * MILLIMETRES, (u0, -v1))
    high = np.maximum(copper.max(axis=0) + MARGIN * MILLIMETRES, (u1, -v0))
    corner = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return [
        f'  (gr_line (start {a[0]:.4f} {a[1]:.4f}) (end {b[0]:.4f} {b[1]:.4f}) (stroke (width 0.1) (type solid)) (layer "Edge.Cuts") {_stamp("edge", *a, *b)})'
        for a, b in zip(corner, corner[1:] + corner[:1])
    ]


def _segment(a, b, width: float, layer: str) -> str:
    size = width * MILLIMETRES
    return f'  (segment (start {a[0]:.4f} {a[1]:.4f}) (end {b[0]:.4f} {b[1]:.4f}) (width {size:.4f}) (layer "{layer}") (net 1) {_stamp(layer, *a, *b)})'


def _via(at, width: float, names, first: int, second: int) -> str:
    """Through the whole board where it joins front and back of two layers, else blind or buried."""
    low, high = sorted((first, second))
    drill = max(DRILL, width * MILLIMETRES - 2 * RING)
    kind = "" if (low, high) == (0, len(names) - 1) else " blind"
    where = f"(at {at[0]:.4f} {at[1]:.4f}) (size {drill + 2 * RING:.4f}) (drill {drill:.4f})"
    return f'  (via{kind} {where} (layers "{names[low]}" "{names[high]}") (net 1) {_stamp("via", *at, low, high)})'


def _stamp(*content) -> str:
    text = " ".join(f"{c:.4f}" if isinstance(c, float) else str(c) for c in content)
    return f"(tstamp {uuid.uuid5(_NAMESPACE, text)})"
