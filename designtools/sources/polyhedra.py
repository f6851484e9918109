"""Uniformly polarised bodies of any shape bounded by triangles."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import roots_jacobi

from designtools._pytree import Leaf, pytree
from designtools.kernels import polyhedron
from designtools.sources.sheet import face_areas, faces_extent
from designtools.units import MU_0


@pytree
class Polyhedra:
    """M closed bodies, each uniformly polarised.

    vertices (V,3) m; faces (F,3) vertex indices, counter-clockwise from outside; body (F,), the number from 0 of the
    body a face belongs to; polarization (M,3) T (mu0 M) of each body, in the frame of the points.
    Each body must be watertight with its faces outward; bodies may touch, overlap (polarizations add) or be nested.
    On a face B is the mean of both sides; on an edge, where it may be infinite, a finite number.
    """

    vertices: Leaf
    faces: Leaf
    body: Leaf
    polarization: Leaf

    def check(self):
        v, f, b, j = map(jnp.shape, (self.vertices, self.faces, self.body, self.polarization))
        if len(v) != 2 or v[1] != 3 or len(f) != 2 or f[1] != 3 or b != f[:1] or len(j) != 2 or j[1] != 3:
            raise ValueError(
                f"Polyhedra: vertices must have shape (V,3), faces (F,3), body (F,) and polarization (M,3), got {v}, {f}, "
                f"{b} and {j}"
            )
        if not any(isinstance(value, jax.core.Tracer) for value in (self.faces, self.body)):
            object.__setattr__(self, "faces", _whole("faces", self.faces, v[0]))
            object.__setattr__(self, "body", _whole("body", self.body, j[0]))
            _check_closed(self.faces, self.body)
            if not isinstance(self.vertices, jax.core.Tracer):
                _check_outward(np.asarray(self.vertices)[self.faces], self.body)

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return polyhedron.field(*self._arguments(points))

    def potential(self, points):
        """Vector potential (P,3) T·m (Coulomb gauge) at points (P,3) m."""
        return polyhedron.potential(*self._arguments(points))

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; H = -grad inside too."""
        return polyhedron.scalar_potential(*self._arguments(points))

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the surfaces (nearest 0 inside a body)."""
        corners = np.asarray(self.vertices)[np.asarray(self.faces)]
        nearest, farthest = faces_extent(corners, centre)
        return 0.0 if np.any(_winding(corners - np.asarray(centre), self.body) > 0.5) else nearest, farthest

    def charge_elements(self, nodes: int = 64):
        """Points (Q,3) m and charge J.n/mu0 dA (Q,) A·m: 64 points on each face, whatever `nodes`."""
        corners = jnp.asarray(self.vertices)[self.faces]
        barycentric, weight = _conical_rule()
        normal = jnp.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
        flux = jnp.einsum("fc,fc->f", normal, jnp.asarray(self.polarization)[self.body]) / MU_0
        points = jnp.einsum("qi,fic->qfc", barycentric, corners)
        return points.reshape(-1, 3), (weight[:, None] * flux).reshape(-1)

    def volume(self):
        """Volume of each body (M,) m3."""
        corners = jnp.asarray(self.vertices)[self.faces]
        cones = jnp.einsum("fc,fc->f", corners[:, 0], jnp.cross(corners[:, 1], corners[:, 2])) / 6
        return jnp.zeros(jnp.shape(self.polarization)[0]).at[self.body].add(cones)

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return self.volume() @ jnp.asarray(self.polarization) / MU_0

    def _arguments(self, points):
        corners = jnp.asarray(self.vertices)[self.faces]
        count = jnp.shape(self.polarization)[0]
        weight = face_areas(corners)
        area = jnp.zeros(count).at[self.body].add(weight)
        middle = jnp.zeros((count, 3)).at[self.body].add(weight[:, None] * corners.mean(axis=1)) / area[:, None]
        middle = jax.lax.stop_gradient(middle)  # any point will do
        reach = jnp.linalg.norm(corners - middle[self.body][:, None, :], axis=2).max(axis=1)
        size = jax.lax.stop_gradient(jnp.zeros(count).at[self.body].max(reach))
        return jnp.asarray(points), corners, jnp.asarray(self.polarization)[self.body], middle[self.body], size[self.body]


def _whole(name, values, below: int):
    """Indices as int32, refusing what is not a whole number from 0 to below - 1."""
    values = np.asarray(values)
    if values.size == 0 or np.any(values != np.floor(values)) or values.min() < 0 or values.max() >= below:
        raise ValueError(
            f"Polyhedra: {name} must be whole numbers from 0 to {below - 1}, got values from {values.min(initial=0)} to "
            f"{values.max(initial=0)}; count from zero"
        )
    return values.astype(np.int32)


def _check_closed(faces, body):
    """Every edge of a body must be run through once in each direction."""
    start, end = faces.reshape(-1), np.roll(faces, -1, axis=1).reshape(-1)
    edges = list(zip(np.repeat(body, 3).tolist(), start.tolist(), end.tolist()))
    known = set(edges)
    if len(known) < len(edges):
        seen = set()
        twice = next(edge for edge in edges if edge in seen or seen.add(edge))
        raise ValueError(
            f"Polyhedra: two faces that share an edge must run through it in opposite directions, but in body {twice[0]} "
            f"the edge from vertex {twice[1]} to {twice[2]} is run through twice; turn one of its faces over"
        )
    for number, a, b in edges:
        if (number, b, a) not in known:
            raise ValueError(
                f"Polyhedra: every body must be watertight, but in body {number} the edge from vertex {a} to {b} belongs to "
                "one face only; add the missing face, or merge vertices that lie at the same place"
            )


def _check_outward(corners, body):
    cones = np.einsum("fc,fc->f", corners[:, 0] - corners[0, 0], np.cross(corners[:, 1] - corners[0, 0], corners[:, 2] - corners[0, 0]))
    volume = np.bincount(body, cones) / 6
    if np.any(volume <= 0):
        worst = int(np.argmin(volume))
        raise ValueError(
            f"Polyhedra: the faces of every body must run counter-clockwise seen from outside, but body {worst} encloses "
            f"{volume[worst]:.6g} m3; reverse the order of vertices in its faces"
        )


def _winding(corners, body):
    """Winding number of each body round the origin."""
    a, b, c = np.moveaxis(corners, 1, 0)
    la, lb, lc = (np.linalg.norm(v, axis=1) for v in (a, b, c))
    dot = lambda u, v: np.einsum("fc,fc->f", u, v)
    angle = 2 * np.arctan2(dot(a, np.cross(b, c)), la * lb * lc + dot(a, b) * lc + dot(b, c) * la + dot(c, a) * lb)
    return np.bincount(np.asarray(body), angle) / (4 * np.pi)


def _conical_rule(order: int = 8):
    """Points of degree 2 order - 1 on a triangle (Stroud 1971): barycentric (Q,3) and weights (Q,) that sum to 1."""
    t, along = np.polynomial.legendre.leggauss(order)
    s, across = roots_jacobi(order, 0, 1)
    s, t = (x.ravel() for x in np.meshgrid((1 + s) / 2, (1 + t) / 2, indexing="ij"))
    return np.column_stack([1 - s, s * (1 - t), s * t]), np.outer(across, along).ravel() / 4
