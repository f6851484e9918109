"""To and from magpylib, our independent judge of fields.

magpylib takes mu0 from CODATA 2022 (1.25663706127e-6), we take 4e-7 pi: the fields of currents differ by 1.3e-10.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import pairwise

import numpy as np

from designtools.sources import (
    Arcs,
    Assembly,
    Blocks,
    Cylinders,
    Dipoles,
    Filaments,
    Loops,
    Magnets,
    Polyhedra,
    Posed,
    Sheet,
    Solenoids,
    Spheres,
    Strips,
)
from designtools.sources.pose import rotation_matrix

_BLOCK_LOOPS = (12, 6)  # loops along the longer and the shorter side of a block's section
_SOLENOID_LOOPS = 48  # along a thin solenoid
_CHORDS = 2048  # to a full turn of an arc


def to_magpylib(source):
    """A magpylib Collection with the same conductors and magnets, in metres, amperes and tesla.

    Joined segments of one current become one Polyline, each body of Polyhedra one TriangularMesh, each strip one
    TriangleSheet.  magpylib has no thick winding: each block becomes 72 circles on Gauss points of its section, exact
    to 1e-9 from about one section size away, wrong inside.  Nor a thin solenoid: 48 circles on Gauss points of its
    length, exact to 1e-9 where the distances to its two rims sum to 1.04 lengths and more.  Nor an arc: a Polyline of
    2048 chords to a turn, which encloses 2e-6 less.  TypeError for a homogeneous field.
    """
    import magpylib

    return magpylib.Collection(*_objects(source))


def from_magpylib(obj):
    """The source of a magpylib object of a kind in the table `_READERS`, or of a Collection of them.

    A CylinderSegment must span the full angle.  Objects of one kind become one batched source, several kinds an Assembly.  Raises TypeError for other kinds and
    ValueError for an object on a path of several positions.
    """
    groups = {}
    for leaf in _leaves(obj):
        kind = type(leaf).__name__
        if kind not in _READERS:
            raise TypeError(
                f"from_magpylib: the object must be a {', '.join(_READERS)} or a Collection, got {kind}; "
                "leave it out or replace it by one of these"
            )
        groups.setdefault(kind, []).append(_READERS[kind](leaf, *_pose(leaf)))
    if not groups:
        raise ValueError("from_magpylib: the collection must hold at least one source, got an empty one")
    sources = [source for kind, rows in groups.items() for source in _joined(kind, rows)]
    return sources[0] if len(sources) == 1 else Assembly(sources)


@singledispatch
def _objects(source) -> list:
    raise TypeError(
        "to_magpylib: the source must be Filaments, Arcs, Loops, Solenoids, Blocks, Strips, Sheet, Magnets, Cylinders, Spheres, Polyhedra, "
        f"Dipoles, Posed or an Assembly, got {type(source).__name__}; magpylib has no such source"
    )


@_objects.register
def _(source: Assembly):
    return [obj for part in source.parts for obj in _objects(part)]


@_objects.register
def _(source: Filaments):
    from magpylib.current import Polyline

    start, end, current = (np.asarray(a, float) for a in (source.start, source.end, source.current))
    breaks = np.flatnonzero(np.any(start[1:] != end[:-1], axis=1) | (current[1:] != current[:-1])) + 1
    runs = pairwise([0, *breaks.tolist(), len(current)])
    return [Polyline(current=current[a], vertices=np.vstack([start[a:b], end[b - 1 : b]])) for a, b in runs]


@_objects.register
def _(source: Loops):
    from magpylib.current import Circle

    rows = zip(*(np.asarray(a, float) for a in (source.centre, source.normal, source.radius, source.current)))
    return [Circle(current=i, diameter=2 * a, position=c, orientation=_turn_z_to(n)) for c, n, a, i in rows]


@_objects.register
def _(source: Arcs):
    from magpylib.current import Polyline

    leaves = (source.centre, rotation_matrix(source.rotation), source.radius, source.start, source.stop, source.current)
    objects = []
    for centre, axes, radius, start, stop, current in zip(*(np.asarray(a, float) for a in leaves)):
        angle = np.linspace(start, stop, 1 + max(1, int(np.ceil(_CHORDS * abs(stop - start) / (2 * np.pi)))))
        path = centre + radius * (np.cos(angle)[:, None] * axes[:, 0] + np.sin(angle)[:, None] * axes[:, 1])
        objects.append(Polyline(current=current, vertices=path))
    return objects


@_objects.register
def _(source: Solenoids):
    return _objects(_solenoid_loops(source))


@_objects.register
def _(source: Blocks):
    return [obj for loops in _block_loops(source) for obj in _objects(loops)]


@_objects.register
def _(source: Magnets):
    from magpylib.magnet import Cuboid
    from scipy.spatial.transform import Rotation

    rows = zip(*(np.asarray(a, float) for a in (source.centre, source.size, source.rotation, source.polarization)))
    return [
        Cuboid(position=c, dimension=s, orientation=Rotation.from_rotvec(r), polarization=p) for c, s, r, p in rows
    ]


@_objects.register
def _(source: Sheet):
    from magpylib.current import TriangleSheet

    faces = np.asarray(source.faces)
    return [
        TriangleSheet(
            vertices=np.asarray(source.vertices), faces=faces, current_densities=np.asarray(source.surface_current())
        )
    ]


@_objects.register
def _(source: Strips):
    from magpylib.current import TriangleSheet

    corners, current, _ = source._triangles()
    quads = np.asarray(corners).reshape(-1, 6, 3)[:, [0, 1, 2, 5]]
    pairs = zip(quads, np.asarray(current).reshape(-1, 2, 3))
    return [TriangleSheet(vertices=v, faces=[[0, 1, 2], [0, 2, 3]], current_densities=k) for v, k in pairs]


@_objects.register
def _(source: Cylinders):
    from magpylib.magnet import Cylinder, CylinderSegment
    from scipy.spatial.transform import Rotation

    leaves = (source.centre, source.rotation, source.inner_radius, source.outer_radius, source.length, source.polarization)
    objects = []
    for centre, turn, inner, outer, length, polarization in zip(*(np.asarray(a, float) for a in leaves)):
        pose = {"position": centre, "orientation": Rotation.from_rotvec(turn), "polarization": polarization}
        ring = (inner, outer, length, 0, 360)
        whole = (2 * outer, length)
        objects.append(CylinderSegment(dimension=ring, **pose) if inner > 0 else Cylinder(dimension=whole, **pose))
    return objects


@_objects.register
def _(source: Spheres):
    from magpylib.magnet import Sphere

    rows = zip(*(np.asarray(a, float) for a in (source.centre, source.radius, source.polarization)))
    return [Sphere(position=c, diameter=2 * a, polarization=j) for c, a, j in rows]


@_objects.register
def _(source: Polyhedra):
    from magpylib.magnet import TriangularMesh

    vertices, faces, body = (np.asarray(a) for a in (source.vertices, source.faces, source.body))
    objects = []
    for number, polarization in enumerate(np.asarray(source.polarization)):
        used, own = np.unique(faces[body == number], return_inverse=True)
        objects.append(TriangularMesh(vertices=vertices[used], faces=own.reshape(-1, 3), polarization=polarization))
    return objects


@_objects.register
def _(source: Dipoles):
    from magpylib.misc import Dipole

    rows = zip(*(np.asarray(a, float) for a in (source.centre, source.dipole_moment)))
    return [Dipole(position=c, moment=m) for c, m in rows]


@_objects.register
def _(source: Posed):
    from scipy.spatial.transform import Rotation

    objects = _objects(source.source)
    for obj in objects:
        obj.rotate(Rotation.from_rotvec(np.asarray(source.rotation, float)), anchor=(0, 0, 0))
        obj.move(np.asarray(source.position, float))
    return objects


def _block_loops(blocks: Blocks) -> list[Loops]:
    """One batch of loops per block."""
    batches = []
    for inner, outer, low, high, density in np.column_stack([np.asarray(a, float) for a in blocks._leaves()]):
        wide = outer - inner > high - low
        n_r, n_z = _BLOCK_LOOPS if wide else _BLOCK_LOOPS[::-1]
        (tr, wr), (tz, wz) = np.polynomial.legendre.leggauss(n_r), np.polynomial.legendre.leggauss(n_z)
        radius = np.repeat((inner + outer) / 2 + (outer - inner) / 2 * tr, n_z)
        height = np.tile((low + high) / 2 + (high - low) / 2 * tz, n_r)
        current = density * (outer - inner) * (high - low) / 4 * np.outer(wr, wz).ravel()
        centre = np.column_stack([0 * height, 0 * height, height])
        batches.append(Loops(centre, np.tile([0.0, 0.0, 1.0], (len(radius), 1)), radius, current))
    return batches


def _solenoid_loops(source: Solenoids) -> Loops:
    """All loops of all solenoids."""
    axis = np.asarray(rotation_matrix(source.rotation))[:, :, 2]
    centre, radius, length, current = (np.asarray(a, float) for a in (source.centre, source.radius, source.length, source.current))
    t, w = np.polynomial.legendre.leggauss(_SOLENOID_LOOPS)
    place = centre[:, None] + (t * length[:, None] / 2)[..., None] * axis[:, None]
    each = lambda values: np.repeat(values, len(t), axis=0)
    return Loops(place.reshape(-1, 3), each(axis), each(radius), (w / 2 * current[:, None]).ravel())


def _turn_z_to(normal):
    """The shortest rotation of +z onto the normal; half a turn about x for -z."""
    from scipy.spatial.transform import Rotation

    n = normal / np.linalg.norm(normal)
    axis = np.array([-n[1], n[0], 0.0])
    sine = np.linalg.norm(axis)
    if sine == 0:
        return Rotation.from_rotvec([0.0 if n[2] > 0 else np.pi, 0.0, 0.0])
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, n[2]))


def _leaves(obj):
    children = getattr(obj, "children", None)
    return [obj] if children is None else [leaf for child in children for leaf in _leaves(child)]


def _pose(obj):
    position = np.asarray(obj.position, float)
    if position.ndim != 1:
        raise ValueError(
            f"from_magpylib: {type(obj).__name__} must have one position, got a path of {len(position)}; "
            "convert one step of the path at a time"
        )
    return position, obj.orientation


def _read_circle(obj, position, turn):
    return position, turn.apply([0.0, 0.0, 1.0]), obj.diameter / 2, obj.current


def _read_polyline(obj, position, turn):
    path = turn.apply(obj.vertices) + position
    return path[:-1], path[1:], np.full(len(path) - 1, obj.current)


def _read_cuboid(obj, position, turn):
    return position, obj.dimension, turn.as_rotvec(), obj.polarization


def _read_cylinder(obj, position, turn):
    diameter, length = obj.dimension
    return position, turn.as_rotvec(), 0.0, diameter / 2, length, obj.polarization


def _read_ring(obj, position, turn):
    inner, outer, length, first, last = obj.dimension
    if abs(last - first - 360) > 1e-9:
        raise ValueError(
            f"from_magpylib: a CylinderSegment must span the full angle of 360 degrees, got {last - first:g}; convert it to "
            "a TriangularMesh first"
        )
    return position, turn.as_rotvec(), inner, outer, length, obj.polarization


def _read_sphere(obj, position, turn):
    return position, obj.diameter / 2, turn.apply(obj.polarization)


def _read_dipole(obj, position, turn):
    return position, turn.apply(obj.moment)


def _read_mesh(obj, position, turn):
    return turn.apply(obj.vertices) + position, np.asarray(obj.faces), turn.apply(obj.polarization)


def _read_tetrahedron(obj, position, turn):
    vertices = np.asarray(obj.vertices, float)
    a, b, c = vertices[1:] - vertices[0]
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    outward = faces if np.dot(a, np.cross(b, c)) > 0 else faces[:, ::-1]
    return turn.apply(vertices) + position, outward, turn.apply(obj.polarization)


def _joined_bodies(rows):
    vertices, faces, polarization = zip(*rows)
    first = np.cumsum([0, *(len(v) for v in vertices[:-1])])
    body = np.repeat(np.arange(len(faces)), [len(f) for f in faces])
    shifted = np.concatenate([f + k for f, k in zip(faces, first)])
    return [Polyhedra(np.concatenate(vertices), shifted, body, np.array(polarization))]


def _read_sheet(obj, position, turn):
    vertices = turn.apply(obj.vertices) + position
    faces = np.asarray(obj.faces)
    return Sheet(vertices, faces, _stream_of(vertices, faces, turn.apply(obj.current_densities)))


def _stream_of(vertices, faces, current):
    """Stream function (V,) A, zero at the last vertex, whose surface current is `current` (F,3) A/m."""
    from scipy.sparse.linalg import spsolve

    from designtools.sources.sheet import current_operator

    operator = current_operator(vertices, faces)[:, :-1].tocsc()
    stream = np.append(spsolve(operator.T @ operator, operator.T @ current.ravel()), 0.0)
    miss = np.abs(operator @ stream[:-1] - current.ravel()).max()
    if miss > 1e-6 * np.abs(current).max():
        raise ValueError(
            f"from_magpylib: the current of a TriangleSheet must flow along its faces and be conserved across their "
            f"edges, got a mismatch of {miss:.3g} A/m; only such a current has a stream function"
        )
    return stream


_READERS = {
    "Circle": _read_circle,
    "Cuboid": _read_cuboid,
    "Cylinder": _read_cylinder,
    "CylinderSegment": _read_ring,
    "Dipole": _read_dipole,
    "Polyline": _read_polyline,
    "Sphere": _read_sphere,
    "Tetrahedron": _read_tetrahedron,
    "TriangleSheet": _read_sheet,
    "TriangularMesh": _read_mesh,
}
_BATCHES = {
    "Circle": Loops, "Cuboid": Magnets, "Cylinder": Cylinders, "CylinderSegment": Cylinders, "Dipole": Dipoles,
    "Sphere": Spheres,
}  # fmt: skip


def _joined(kind, rows):
    if kind == "TriangleSheet":
        return rows
    if kind == "Polyline":
        return [Filaments(*(np.concatenate(column) for column in zip(*rows)))]
    if kind in ("TriangularMesh", "Tetrahedron"):
        return _joined_bodies(rows)
    return [_BATCHES[kind](*(np.array(column, float) for column in zip(*rows)))]
