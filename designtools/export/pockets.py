"""Ring formers with a pocket for every magnet, as STL and STEP in millimetres, and the ledger of the magnets as CSV.

The plates are read off the magnets themselves: those at one place along the bore lie in one plate, which is as thick as
the floor below the pockets and the magnets; the pockets are open towards +bore.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from designtools.export.bodies import bare_sources
from designtools.export.step import _breps, _context, _file, _product, _Text
from designtools.export.stl import write_meshes
from designtools.units import parse

MILLIMETRES = 1e3
SIDES = 180  # of the polygon that stands for a rim in the STL
COLUMNS = "magnet,ring,x_mm,y_mm,z_mm,rotation_x_rad,rotation_y_rad,rotation_z_rad,size_x_mm,size_y_mm,size_z_mm,grade,direction_x,direction_y,direction_z,polarization_T"


@dataclass(frozen=True)
class Plate:
    """One former in the frame of the bore (m): rims, low and high face, and the pockets' corners (N,4,2) and floor."""

    inner: float
    outer: float
    low: float
    floor: float
    high: float
    pockets: np.ndarray


def refuses(result) -> str:
    """Why there are no formers to write, or ""."""
    if result.kind != "halbach" or not magnets_of(result):
        return "pockets are for permanent magnets"
    if not result.spec.get("rings"):
        return "the magnets are not in rings"
    return "" if result.spec.get("former") else "the spec asks for no former; add `former: {clearance, floor, wall}`"


def refuses_ledger(result) -> str:
    """Why there is no ledger to write, or ""."""
    return "" if magnets_of(result) else "the design has no magnets"


def magnets_of(result) -> list:
    """The magnets of a result."""
    return [leaf for leaf in bare_sources(result) if type(leaf).__name__ == "Magnets"]


def plates(result) -> list[Plate]:
    """A plate for every place along the bore, lowest first."""
    (magnets,) = magnets_of(result)
    sizes = {key: parse(value, "length") for key, value in result.spec["former"].items()}
    turn = bore_frame(result.frame)
    centre = np.asarray(magnets.centre) @ turn
    place = np.round(centre[:, 2], 7)
    return [_plate(magnets, centre, np.flatnonzero(place == z), turn, **sizes) for z in np.unique(place)]


def _plate(magnets, centre, own, turn, clearance: float, floor: float, wall: float) -> Plate:
    from scipy.spatial.transform import Rotation

    size = np.asarray(magnets.size)[own]
    ways = np.einsum("nij,ik->nkj", Rotation.from_rotvec(np.asarray(magnets.rotation)[own]).as_matrix(), turn)
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) / 2
    local = corners * (size[:, None, :2] + clearance)
    pockets = np.einsum("nij,nqj->nqi", ways[:, :2, :2], local) + centre[own, None, :2]
    radii = np.linalg.norm(pockets, axis=2)
    low = float((centre[own, 2] - size[:, 2] / 2).min())
    nearest = min(_distance_to_edges(pocket) for pocket in pockets)
    return Plate(nearest - wall, float(radii.max()) + wall, low - floor, low, float((centre[own, 2] + size[:, 2] / 2).max()), pockets)


def _distance_to_edges(pocket) -> float:
    """From the bore's axis to the outline of a pocket."""
    edge = np.roll(pocket, -1, axis=0) - pocket
    along = np.clip(-np.sum(pocket * edge, axis=1) / np.sum(edge**2, axis=1), 0, 1)
    return float(np.linalg.norm(pocket + along[:, None] * edge, axis=1).min())


def bore_frame(frame) -> np.ndarray:
    """Columns: b0, across, bore, in the coordinates of the spec."""
    b0, bore = (_axis(frame[key]) for key in ("b0_axis", "bore_axis"))
    return np.stack([b0, np.cross(bore, b0), bore], axis=1)


def _axis(value) -> np.ndarray:
    if isinstance(value, str):
        return np.eye(3)["xyz".index(value[-1])] * (-1 if value.startswith("-") else 1)
    return np.asarray(value, float)


# --- STL ----------------------------------------------------------------------------------------


def write_stl(result, path: Path) -> tuple[Path, ...]:
    """All plates in one file, each where it belongs, pockets open towards +bore."""
    turn = bore_frame(result.frame)
    write_meshes([plate_mesh(plate, turn) for plate in plates(result)], path)
    return (path,)


def plate_mesh(plate: Plate, turn=None):
    """A plate as a watertight mesh (m), turned by (3,3)."""
    import manifold3d
    import trimesh

    angle = 2 * np.pi * np.arange(SIDES) / SIDES
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outside = plate.outer / math.cos(np.pi / SIDES)  # the polygon contains the circle, and the bore stays clear
    outline = manifold3d.CrossSection([circle * outside]) - manifold3d.CrossSection([circle * plate.inner])
    holes = manifold3d.CrossSection(list(plate.pockets))
    bottom = manifold3d.Manifold.extrude(outline, plate.floor - plate.low).translate((0, 0, plate.low))
    body = bottom + manifold3d.Manifold.extrude(outline - holes, plate.high - plate.floor).translate((0, 0, plate.floor))
    mesh = body.to_mesh()
    vertices = np.asarray(mesh.vert_properties[:, :3], float)
    return trimesh.Trimesh(vertices if turn is None else vertices @ np.asarray(turn).T, mesh.tri_verts, process=True)


# --- STEP ---------------------------------------------------------------------------------------


def write_step(result, path: Path) -> tuple[Path, ...]:
    """One product per plate, with exact rims, in the frame of the bore (b0 along x, bore along z)."""
    text = _Text()
    context = _context(text)
    for index, plate in enumerate(plates(result)):
        name = f"ring former {index + 1}"
        _product(text, context, name, _breps(text, context, name, [_solid(text, name, plate)]))
    path.write_text(_file(text, result, path.name), encoding="ascii")
    return (path,)


def _solid(text: _Text, name: str, plate: Plate) -> str:
    rim, seam = {}, {}
    for radius in (plate.inner, plate.outer):
        ends = [text.vertex((radius, 0, z)) for z in (plate.low, plate.high)]
        for end, z in zip(ends, (plate.low, plate.high)):
            circle = text.circle("", (0, 0, z), (0, 0, 1), radius, (1, 0, 0))
            rim[radius, z] = text.add(f"EDGE_CURVE('',{end},{end},{circle},.T.)")
        seam[radius] = text.straight_edge(*ends, (radius, 0, plate.low), (radius, 0, plate.high))
    faces = [text._wall(r, rim[r, plate.low], rim[r, plate.high], seam[r], outward=r == plate.outer) for r in (plate.outer, plate.inner)]
    mouths, inner_faces = [], []
    for pocket in plate.pockets:
        mouth, more = _pocket(text, pocket, plate.floor, plate.high)
        mouths.append(mouth)
        inner_faces += more
    down = _plane(text, (0, 0, plate.low), (0, 0, -1))
    faces.append(_holed(text, down, [(rim[plate.outer, plate.low], False)], [[(rim[plate.inner, plate.low], True)]]))
    up = _plane(text, (0, 0, plate.high), (0, 0, 1))
    faces.append(_holed(text, up, [(rim[plate.outer, plate.high], True)], [[(rim[plate.inner, plate.high], False)], *mouths]))
    return text.solid(name, faces + inner_faces)


def _pocket(text: _Text, corners, floor: float, high: float):
    """The edges of its mouth, seen as a hole of the face above, and its walls and floor."""
    levels = [np.column_stack([corners, np.full(4, z)]) for z in (floor, high)]
    vertices = [[text.vertex(point) for point in level] for level in levels]
    around = [[text.straight_edge(v[i], v[(i + 1) % 4], p[i], p[(i + 1) % 4]) for i in range(4)] for v, p in zip(vertices, levels)]
    upright = [text.straight_edge(vertices[0][i], vertices[1][i], levels[0][i], levels[1][i]) for i in range(4)]
    faces = [_holed(text, _plane(text, levels[0][0], (0, 0, 1)), [(edge, True) for edge in around[0]], [])]
    for i in range(4):
        j = (i + 1) % 4
        along = levels[0][j] - levels[0][i]
        inward = np.cross((0, 0, 1), along)  # corners run counter-clockwise: towards the hollow
        sides = [(around[0][i], False), (upright[i], True), (around[1][i], True), (upright[j], False)]
        faces.append(_holed(text, _plane(text, levels[0][i], inward), sides, []))
    return [(edge, False) for edge in reversed(around[1])], faces


def _plane(text: _Text, origin, normal) -> str:
    return text.add(f"PLANE('',{text.placement(origin, normal, None)})")


def _holed(text: _Text, surface: str, outer, holes) -> str:
    """A flat face with any number of holes."""
    bounds = [text.add(f"FACE_OUTER_BOUND('',{text.loop(outer)},.T.)")]
    bounds += [text.add(f"FACE_BOUND('',{text.loop(hole)},.T.)") for hole in holes]
    return text.add(f"ADVANCED_FACE('',({','.join(bounds)}),{surface},.T.)")


# --- the ledger ---------------------------------------------------------------------------------


def write_ledger(result, path: Path) -> tuple[Path, ...]:
    """One row per magnet: number, ring, place, rotation vector, size, grade, direction and size of the polarization."""
    rows = ["# designtools: magnet ledger", f"# frame: {dict(result.frame)}", COLUMNS]
    known = (result.spec.get("magnets") or {}).get("grades") or ["unknown"]
    grades = result.audit.get("grades") or ["/".join(known)] * sum(len(magnets.centre) for magnets in magnets_of(result))
    first = 1
    for magnets in magnets_of(result):
        rows += _ledger_rows(magnets, bore_frame(result.frame), grades[first - 1 :], first)
        first += len(magnets.centre)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return (path,)


def _ledger_rows(magnets, turn, grades, first: int) -> list[str]:
    centre, vector = np.asarray(magnets.centre), np.asarray(magnets.polarization_in_space())
    own = centre @ turn
    keys = np.stack([np.round(own[:, 2], 7), np.round(np.hypot(own[:, 0], own[:, 1]), 7)], axis=1)
    ring = np.unique(keys, axis=0, return_inverse=True)[1].ravel() + 1
    strength = np.linalg.norm(vector, axis=1)
    rows = []
    for i in range(len(centre)):
        numbers = [*centre[i] * MILLIMETRES, *np.asarray(magnets.rotation)[i], *np.asarray(magnets.size)[i] * MILLIMETRES]
        cells = [str(first + i), str(ring[i]), *(f"{v:.6f}" for v in numbers), grades[i], *(f"{v:.6f}" for v in vector[i] / strength[i]), f"{strength[i]:.6f}"]
        rows.append(",".join(cells))
    return rows
