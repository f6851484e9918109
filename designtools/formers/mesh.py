"""The triangle mesh that every former hands out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SurfaceMesh:
    """Triangles on a former.

    vertices (V,3) m, faces (F,3) int oriented so that normals point outward,
    uv (V,2) surface parameters of each vertex, boundaries: list of vertex-index arrays, one per open rim.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    boundaries: tuple[np.ndarray, ...]

    @property
    def corner(self) -> np.ndarray:
        """Corners of each triangle (F,3,3) m."""
        return self.vertices[self.faces]

    @property
    def area(self) -> np.ndarray:
        """Area of each triangle (F,) m2."""
        a, b, c = np.moveaxis(self.corner, 1, 0)
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
