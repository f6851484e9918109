"""DXF in millimetres: the flat pattern of every winding, true to length; sources without a former in space.

One DXF layer per winding and role (`primary-turn`, `primary-lead`), the sheet's outline and its cut line on layers
of their own.  Several windings stand above one another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from designtools.export import bodies
from designtools.export.flat import flatten, former_of
from designtools.export.names import distinct_stems

MILLIMETRES = 1e3
GAP = 0.02  # m between sheets


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    drawable = result.windings or any(type(leaf).__name__ in _DRAWN for leaf in bodies.bare_sources(result))
    return "" if drawable else "the design has no wires, loops, blocks or magnets"


def write(result, path: Path) -> tuple[Path, ...]:
    """DXF R2010 with $INSUNITS = millimetres."""
    import ezdxf

    document = ezdxf.new("R2010", setup=True, units=ezdxf.units.MM)
    space = document.modelspace()
    shift = 0.0
    for index, (winding, stem) in enumerate(
        zip(result.windings, distinct_stems(w.name for w in result.windings))
    ):
        former = former_of(winding, result.formers)
        if former is None:
            _in_space(space, stem, [track.points for track in winding.tracks])
            continue
        shift = _sheet(space, stem, flatten(winding, former), shift, index)
    others = bodies.bare_sources(result)
    for leaf, stem in zip(others, distinct_stems(type(leaf).__name__ for leaf in others)):
        if type(leaf).__name__ in _DRAWN:
            _DRAWN[type(leaf).__name__](space, stem, leaf)
    _comment(document, result)
    document.saveas(path)
    return (path,)


def _comment(document, result) -> None:
    frame = ", ".join(f"{key} {value}" for key, value in result.frame.items())
    document.header.custom_vars.append("units", "mm")
    document.header.custom_vars.append("frame", frame)


def _sheet(space, stem: str, pattern, shift: float, index: int) -> float:
    """Draw one sheet with its lower edge at `shift` m; returns where the next may start."""
    origin = np.array([0.0, shift - pattern.low])
    for role, points in pattern.pieces:
        layer = _layer(space, f"{stem}-{role}", colour=index % 6 + 1)
        space.add_lwpolyline((points + origin) * MILLIMETRES, dxfattribs=layer)
    low, high = pattern.low, pattern.high
    corners = np.array([[0, low], [pattern.width, low], [pattern.width, high], [0, high]]) + origin
    space.add_lwpolyline(corners * MILLIMETRES, close=True, dxfattribs=_layer(space, f"{stem}-outline", 7))
    _cut_line(space, stem, pattern, origin)
    return shift + (high - low) + GAP


def _cut_line(space, stem: str, pattern, origin) -> None:
    attributes = _layer(space, f"{stem}-cut", 8) | {"linetype": "DASHED"}
    ends = (np.array([[0, pattern.low], [0, pattern.high]]) + origin) * MILLIMETRES
    space.add_line(*ends, dxfattribs=attributes)
    turned = 360 * pattern.cut / pattern.width
    note = f"{stem}: cut at {turned:.3f} deg from the first axis of the former, mm, true length"
    text = space.add_text(note, height=5, dxfattribs=_layer(space, f"{stem}-note", 8))
    text.set_placement(tuple((np.array([0.0, pattern.high]) + origin) * MILLIMETRES + (0, 3)))


def _layer(space, name: str, colour: int) -> dict:
    if name not in space.doc.layers:
        space.doc.layers.add(name, color=colour)
    return {"layer": name}


# ---- sources in space -------------------------------------------------------------------------------


def _in_space(space, stem: str, polylines) -> None:
    for points in polylines:
        space.add_polyline3d(np.asarray(points) * MILLIMETRES, dxfattribs=_layer(space, stem, 7))


def _filaments(space, stem: str, filaments) -> None:
    _in_space(space, stem, bodies.chains(filaments))


def _loops(space, stem: str, loops) -> None:
    for centre, normal, radius in zip(*map(np.asarray, (loops.centre, loops.normal, loops.radius))):
        _circle(space, _layer(space, stem, 1), centre, normal, radius)


def _circle(space, layer: dict, centre, normal, radius) -> None:
    from ezdxf.math import OCS

    flat = OCS(tuple(normal)).from_wcs(tuple(np.asarray(centre, float) * MILLIMETRES))
    space.add_circle(
        flat, float(radius) * MILLIMETRES, dxfattribs=layer | {"extrusion": tuple(map(float, normal))}
    )


def _blocks(space, stem: str, blocks) -> None:
    for inner, outer, low, high in bodies.block_rings(blocks):
        for radius in (inner, outer):
            for z in (low, high):
                _circle(space, _layer(space, stem, 1), (0, 0, z), (0, 0, 1), radius)
        for side in (1, -1):
            section = [
                (side * r, 0, z) for r, z in ((inner, low), (outer, low), (outer, high), (inner, high))
            ]
            _in_space(space, f"{stem}-section", [[*section, section[0]]])


def _magnets(space, stem: str, magnets) -> None:
    for corners in bodies.magnet_corners(magnets):
        _in_space(space, stem, [corners[[*quad, quad[0]]] for quad in bodies.BOX_QUADS])


_DRAWN = {"Filaments": _filaments, "Loops": _loops, "Blocks": _blocks, "Magnets": _magnets}
