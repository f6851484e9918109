"""From the surfaces of a spec to meshes that carry current: one builder per shape, one row per builder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from designtools.formers.cylinder import Cylinder
from designtools.formers.dome import Dome
from designtools.formers.elliptic import EllipticCylinder
from designtools.formers.mesh import SurfaceMesh
from designtools.formers.plate import Plate
from designtools.formers.revolved import Revolved
from designtools.formers.triangulated import parts_of
from designtools.windings import contour
from designtools.windings.mesh_contour import mesh_contours
from designtools.windings.winding import Track

AROUND = 88  # triangles around a former where the spec states no resolution
METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}


@dataclass(frozen=True)
class Patch:
    """One connected surface of a layer: its former (None where it has no parameters), its mesh, its first vertex in the layer's."""

    name: str
    former: Any
    mesh: SurfaceMesh
    first: int

    def of(self, stream) -> np.ndarray:
        """Values (V,) at the vertices of the patch, of values at those of the layer."""
        return np.asarray(stream)[self.first : self.first + len(self.mesh.vertices)]

    def rim_value(self, stream) -> float:
        """psi (A) on the first rim of the patch."""
        return contour.rim_value(self.mesh, self.of(stream))

    def tracks(self, stream, current: float, shortest: float):
        """Closed tracks one current (A) apart; those shorter than `shortest` m are left out."""
        own = self.of(stream)
        values, _ = contour.levels(own, current=current, rim=self.rim_value(stream))
        if self.former is None:
            return mesh_contours(self.mesh, own, values, shortest)
        if not getattr(self.former, "fills_its_span", True):
            return tuple(_laid(track, self.former) for track in mesh_contours(self.mesh, own, values, shortest))
        return contour.contours(self.former, self.mesh, own, values, shortest=shortest)


def _laid(track: Track, former) -> Track:
    """The track moved from the faces of the mesh onto the former itself."""
    uv = former.inverse(track.points)
    points = former.at(uv)
    points[-1] = points[0]
    return Track(points, former.normal(uv), track.roles)


def patches(name: str, surface, frame, gradient_axis, resolution: float | None) -> tuple[Patch, ...]:
    """The patches of a layer of a spec.

    frame (3,3): two directions across the bore and the bore; gradient_axis: the direction that planes take for their
    width where the spec names none, or None.  resolution: edge length (m) of the triangles, or None for a choice by size.
    """
    formers = _FORMERS[surface.former](surface, frame, gradient_axis) if surface.former != "mesh" else None
    if formers is None:
        meshes = parts_of(surface.path, METRES[surface.unit or "mm"])
        formers = [None] * len(meshes)
    else:
        meshes = [f.mesh(resolution or 2 * np.pi * contour.half_width(f) / AROUND) for f in formers]
    first = np.cumsum([0, *(len(m.vertices) for m in meshes)])
    names = [name] if len(meshes) == 1 else [f"{name}_{k + 1}" for k in range(len(meshes))]
    return tuple(map(Patch, names, formers, meshes, first.tolist()))


def joined_mesh(parts) -> SurfaceMesh:
    """One mesh of all patches; `uv` is that of a single patch, else empty."""
    vertices = np.concatenate([p.mesh.vertices for p in parts])
    faces = np.concatenate([p.mesh.faces + p.first for p in parts])
    rims = tuple(rim + p.first for p in parts for rim in p.mesh.boundaries)
    return SurfaceMesh(vertices, faces, parts[0].mesh.uv if len(parts) == 1 else np.zeros((len(vertices), 0)), rims)


def still_groups(mesh: SurfaceMesh, spaces, margin: float) -> tuple[np.ndarray, ...]:
    """Groups of vertices between which no current flows: the rims, and what the keep-out `spaces`, widened by `margin` m, touch."""
    hit = np.zeros(len(mesh.vertices), bool)
    for space in spaces:
        hit |= inside(space, mesh.vertices, margin)
    touched = mesh.faces[hit[mesh.faces].any(axis=1)]
    return (*mesh.boundaries, *touched)


def inside(space, points, margin: float = 0.0) -> np.ndarray:
    """Which points (P,3) m lie in a keep-out space widened by `margin` m."""
    away = np.asarray(points) - np.asarray(space.place)
    if space.shape == "box":
        return (np.abs(away) <= np.asarray(space.size) / 2 + margin).all(axis=1)
    if space.shape == "ball":
        return np.linalg.norm(away, axis=1) <= space.radius + margin
    along = away @ np.asarray(space.axis)
    across = np.sqrt(np.maximum((away**2).sum(axis=1) - along**2, 0.0))
    return (np.abs(along) <= space.length / 2 + margin) & (across <= space.radius + margin)


def depth(space, points):
    """How deep (m) points (Q,3) lie within a space; negative outside; differentiable."""
    away = points - jnp.asarray(space.place)
    if space.shape == "box":
        return jnp.min(jnp.asarray(space.size) / 2 - jnp.abs(away), axis=1)
    if space.shape == "ball":
        return space.radius - jnp.sqrt(jnp.sum(away**2, axis=1) + 1e-12)
    along = away @ jnp.asarray(space.axis)
    ring = jnp.sqrt(jnp.maximum(jnp.sum(away**2, axis=1) - along**2, 1e-12))
    return jnp.minimum(space.radius - ring, space.length / 2 - jnp.abs(along))


# --- one builder per shape ------------------------------------------------------------------------


def _cylinder(s, frame, _):
    return [Cylinder(s.radius, s.length, frame, frame[2] * (s.centre or 0.0))]


def _elliptic(s, frame, _):
    wide = frame[0] if s.wide_axis is None else np.asarray(s.wide_axis)
    own = np.stack([wide, np.cross(frame[2], wide), frame[2]])
    return [EllipticCylinder(*s.half_axes, s.length, own, frame[2] * (s.centre or 0.0))]


def _cone(s, frame, _):
    profile = np.array([[-s.length / 2, s.radius_low], [s.length / 2, s.radius_high]])
    return [Revolved(profile, frame, frame[2] * (s.centre or 0.0))]


def _revolved(s, frame, _):
    return [Revolved(np.array(s.profile), frame, frame[2] * (s.centre or 0.0))]


def _plane(s, frame, axis):
    return [Plate(s.width, s.height, _turned(s, frame, axis), _place(s))]


def _disc(s, frame, axis):
    return [Dome(np.inf, s.radius, _turned(s, frame, axis), _place(s))]


def _pair(one):
    """Two of the same, `gap` apart, both looking away from the middle."""

    def build(s, frame, axis):
        (middle,) = one(s, frame, axis)
        own, place = middle.frame, _place(s)
        step = s.gap / 2 * own[2]
        back = own * np.array([[1.0], [-1.0], [-1.0]])
        at = "centre" if isinstance(middle, Plate) else "pole"
        return [_moved(middle, own, at, place + step), _moved(middle, back, at, place - step)]

    return build


def _moved(former, frame, at: str, place):
    from dataclasses import replace

    return replace(former, frame=frame, **{at: place})


def _helmet(s, frame, axis):
    return [Dome(s.radius, s.radius * s.angle, _turned(s, frame, axis), _place(s))]


_FORMERS = {
    "cylinder": _cylinder, "elliptic_cylinder": _elliptic, "cone": _cone, "revolved": _revolved, "plane": _plane, "disc": _disc,
    "biplanar": _pair(_plane), "two_discs": _pair(_disc), "helmet": _helmet,
}  # fmt: skip


def _place(s) -> np.ndarray:
    return np.asarray(s.place or (0.0, 0.0, 0.0), float)


def _turned(s, frame, axis) -> np.ndarray:
    """Rows: direction of width, the one across it, the normal."""
    normal = np.asarray(s.normal, float)
    wishes = [s.wide_axis, axis, *frame[::-1]]
    for wish in (np.asarray(w, float) for w in wishes if w is not None):
        across = wish - normal * (wish @ normal)
        if np.linalg.norm(across) > 1e-9:
            wide = across / np.linalg.norm(across)
            return np.stack([wide, np.cross(normal, wide), normal])
    raise AssertionError("three axes of a frame cannot all be parallel to one normal")
