"""The geometry of a gradient task: surfaces, their symmetry with the task, points at which the field is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from designtools import regions
from designtools.formers import symmetry as symmetries
from designtools.formers.cylinder import Cylinder
from designtools.formers.mesh import SurfaceMesh
from designtools.problem import Limit
from designtools.recipes import targets
from designtools.recipes.surfaces import Patch, joined_mesh, patches, still_groups
from designtools.regions import Region

TARGET_ORDER = 60  # harmonic degree integrated exactly by the target points
SHELL_AROUND = 48  # vertices around a conducting tube where the coil is none
VOLUME_ORDER = 20  # the same for the points of the fitted gradient


@dataclass(frozen=True)
class Layer:
    """One current-carrying surface, of one or several patches: its mesh, and one basis, face and count per symmetry orbit."""

    name: str
    patches: tuple[Patch, ...]
    mesh: SurfaceMesh
    basis: sparse.spmatrix
    faces: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Setting:
    """The geometry of the task: everything the later hops share.  Points are one per symmetry orbit.

    shape: points -> u (m), the field wanted over target.strength; size (m): radius of the primary, or how near it comes;
    between: points added where the field strayed between those of `target`; shell_meshes: of the cryostat's shells;
    surroundings, held: what stands around the coil and the limits this puts on it (`gradient_surroundings`);
    taken: shares of the error and of the stray field allowed that joints were seen to take beyond their reserve;
    warmth: share of the temperature allowed that sheets are held to, where their wires were seen to get hotter.
    """

    spec: object
    frame: np.ndarray
    layers: tuple[Layer, ...]
    symmetry: symmetries.Symmetry
    target: Region
    stray: Region | None
    shape: Callable
    size: float
    between: tuple[Region, ...] = ()
    shell_meshes: tuple[SurfaceMesh, ...] = ()
    surroundings: object = None
    held: tuple[Limit, ...] = ()
    taken: tuple[float, float] = (0.0, 0.0)
    warmth: float = 1.0

    @property
    def b0(self) -> np.ndarray:
        return np.asarray(self.spec.frame.b0_axis, float)

    @property
    def centre(self) -> np.ndarray:
        return np.asarray(self.spec.region.centre, float)

    def distance(self, points) -> np.ndarray:
        """u (P,) m: of a linear target the signed distance from the centre of the region along the gradient axis."""
        return self.shape(np.asarray(points))

    @property
    def reach(self) -> float:
        """Largest |u| in the region (m)."""
        return targets.reach_of(self.spec, self.shape)

    @property
    def direction(self) -> np.ndarray:
        """The axis (3,) along which the report looks: the gradient axis, or one across the bore."""
        axis = self.spec.target.gradient_axis
        return self.frame[0] if axis is None else np.asarray(axis, float)


# --- from the spec to geometry ------------------------------------------------------------------


def prepare(spec) -> Setting:
    """Meshes, their common symmetry with the task, and the points at which the field is held."""
    frame, shape = coil_frame(spec), targets.shape_of(spec)
    parts = {name: patches(name, s, frame, spec.target.gradient_axis, spec.mesh.resolution) for name, s in spec.layers.items()}
    meshes = {name: joined_mesh(found) for name, found in parts.items()}
    margin = (spec.conductor.width + spec.conductor.spacing) / 2
    still = {name: still_groups(mesh, spec.keep_out, margin) for name, mesh in meshes.items()}
    size = _size(spec, meshes["primary"])
    shells = _shell_meshes(spec, frame, meshes["primary"])
    found = _symmetry(spec, frame, meshes, still, shells, shape, size)
    layers = tuple(_layer(name, parts[name], mesh, found, still[name]) for name, mesh in meshes.items())
    stray = _stray_region(spec, frame)
    target = folded(_target_region(spec), found)
    return Setting(spec, frame, layers, found, target, stray and folded(stray, found), shape, size, shell_meshes=shells)


def _shell_meshes(spec, frame, primary: SurfaceMesh) -> tuple[SurfaceMesh, ...]:
    """Tubes half as fine as the coil, whose vertices keep the rotations that both have."""
    if spec.cryostat is None:
        return ()
    around = len(primary.boundaries[0]) // 2 if spec.primary.tube else SHELL_AROUND
    formers = [Cylinder(t.radius, t.length, frame, t.centre * frame[2]) for t in spec.cryostat.shells]
    return tuple(f.mesh(2 * np.pi * f.radius / max(around, SHELL_AROUND // 2)) for f in formers)


def _size(spec, primary: SurfaceMesh) -> float:
    """Radius of the primary (m); of a surface that is no tube, how near it comes to the centre of the region."""
    if spec.primary.tube:
        return spec.primary.inner_radius
    away = np.linalg.norm(primary.vertices - np.asarray(spec.region.centre), axis=1)
    return float(away.min())


def coil_frame(spec) -> np.ndarray:
    """Rows: two directions across the bore, the first along the gradient (or B0) where it has a part across; the bore."""
    bore = np.asarray(spec.frame.bore_axis, float)
    wishes = [spec.target.gradient_axis, spec.frame.b0_axis, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]
    for wish in (w for w in wishes if w is not None):
        across = np.asarray(wish, float) - bore * np.dot(wish, bore)
        if np.linalg.norm(across) > 1e-9:
            first = across / np.linalg.norm(across)
            return np.stack([first, np.cross(bore, first), bore])
    raise AssertionError("two different axes cannot both be parallel to the bore")


def _target_region(spec) -> Region:
    """The surface of the region: the error is harmonic, so its extremes lie there."""
    return regions.ellipsoid(spec.region.half_widths, spec.region.centre, TARGET_ORDER, "target")


def volume(spec) -> Region:
    """Quadrature points inside the region, over which the best-fitting gradient is taken."""
    unit = regions.ball(1.0, order=VOLUME_ORDER)
    points = np.asarray(spec.region.centre, float) + unit.points * np.asarray(spec.region.half_widths, float)
    return Region(points, unit.weights, "volume")


def _stray_region(spec, frame) -> Region | None:
    if spec.stray is None:
        return None
    n_z = 2 * max(10, round(spec.stray.length / spec.stray.radius * 10)) + 1
    return regions.cylinder(spec.stray.radius, spec.stray.length, 56, n_z, frame, "stray")


def _symmetry(spec, frame, meshes, still, shells, shape, size: float) -> symmetries.Symmetry:
    vertices = meshes["primary"].vertices
    origin = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    every = [*meshes.values(), *shells]
    rims = [len(rim) for mesh in every for rim in mesh.boundaries[:1]]
    held = [mesh.vertices[np.unique(np.concatenate(still[name]))] for name, mesh in meshes.items() if len(still[name])]

    def sign_of(q):
        same = all(_same_points((points - origin) @ q.T + origin, points) for points in held)
        return _stream_sign(spec, q, origin, shape, size) if same else 0

    return symmetries.find(every, frame, origin, sign_of, int(np.gcd.reduce(rims or [4])))


def _same_points(a, b) -> bool:
    return cKDTree(b).query(a)[0].max() < 1e-7 * max(np.ptp(b, axis=0).max(), 1e-12)


def _stream_sign(spec, q: np.ndarray, origin: np.ndarray, shape, size: float) -> int:
    """Sign psi takes under the map q about `origin`, or 0 where q does not carry the task onto itself.

    B(Qx) = s Q B(x), so the component along b gets s times the sign of b under Q, and must equal the
    sign of the wanted field under Q.
    """
    held = [np.asarray(spec.region.centre, float)] + ([np.zeros(3)] if spec.stray or spec.wall else [])
    form = np.diag(np.square(spec.region.half_widths))
    carried = all(np.allclose(q @ (p - origin) + origin, p, atol=1e-9) for p in held)
    carried = carried and np.allclose(q @ form @ q.T, form, rtol=1e-9)
    if not (carried and _patient_is_carried(spec, q, origin) and _magnet_is_carried(spec, q, size)):
        return 0
    return _sign_under(q, spec.frame.b0_axis) * _shape_sign(shape, q, origin, held[0], size)


def _shape_sign(shape, q: np.ndarray, origin, centre, size: float) -> int:
    """Sign the wanted field takes under the map, 0 for neither."""
    here = centre + np.random.default_rng(1).uniform(-1, 1, (20, 3)) * size
    value, image = shape(here), shape((here - origin) @ q.T + origin)
    return next((s for s in (1, -1) if np.allclose(image, s * value, rtol=0, atol=1e-9 * np.abs(value).max())), 0)


def _sign_under(q: np.ndarray, axis) -> int:
    along = float(np.dot(q @ np.asarray(axis, float), axis))
    return int(np.sign(along)) if abs(abs(along) - 1) < 1e-9 else 0


def _patient_is_carried(spec, q: np.ndarray, origin) -> bool:
    """Whether the person's body is the same after the map; asked only where a limit needs it."""
    patient = spec.patient
    if patient is None or patient.limit is None:
        return True
    if patient.semi_axes is None:
        return False
    centre, form = np.asarray(patient.centre, float), np.diag(np.square(patient.semi_axes))
    return bool(np.allclose(q @ (centre - origin) + origin, centre, atol=1e-9) and np.allclose(q @ form @ q.T, form, rtol=1e-9))


def _magnet_is_carried(spec, q: np.ndarray, size: float) -> bool:
    """Whether the magnet's field goes over into itself up to a sign; asked only where a limit needs it."""
    if spec.limits.torque is None and spec.limits.net_force is None and (spec.wall is None or spec.wall.velocity_limit is None):
        return True
    here = np.random.default_rng(0).uniform(-1, 1, (8, 3)) * size
    b = np.asarray(background(spec).field(here))
    image = np.asarray(background(spec).field(here @ q.T))
    return any(np.allclose(image, s * b @ q.T, rtol=1e-9, atol=1e-9 * np.abs(b).max()) for s in (1, -1))


def _layer(name, parts, mesh, found, still) -> Layer:
    faces, counts = symmetries.orbits(mesh.corner.mean(axis=1), found)
    return Layer(name, parts, mesh, symmetries.vertex_basis(mesh, found, still), faces, counts)


def folded(region: Region, found) -> Region:
    """One point per orbit; its weight is that of the orbit."""
    index, count = symmetries.orbits(region.points, found)
    weights = region.weights[index] * count
    return Region(region.points[index], weights / weights.sum(), region.name)


def background(spec):
    """The magnet in whose field force and torque are taken: its blocks where listed, else homogeneous B0."""
    from designtools.recipes.background import magnet_field

    return magnet_field(spec)
