"""Tracks as solids: a rectangular section carried along the centreline, mitred at every corner."""

from __future__ import annotations

import numpy as np
import trimesh

_UPRIGHT = 0.3  # sine of the angle to the surface normal below which a piece counts as a riser
_SHARP = np.cos(np.radians(70))  # of the angle between the arms of a corner that is cut off
_LONGEST_MITRE = 3.0  # a mitre reaches at most this many times as far as the section


def solids(winding) -> tuple[trimesh.Trimesh, ...]:
    """One watertight solid per track of a winding, m."""
    return tuple(swept(track, winding.width, winding.thickness) for track in winding.tracks)


def swept(track, width: float, thickness: float) -> trimesh.Trimesh:
    """The conductor of a track as a watertight solid in m: `width` in the surface, `thickness` along its normal.

    The section's thickness follows the surface normal; on risers, which run along the normal, it turns over from
    what comes before to what comes after.  Open tracks get end caps, closed tracks become rings.
    ValueError for a section that is not positive or a track of fewer than two distinct points.
    """
    if not (width > 0 and thickness > 0):
        raise ValueError(f"width and thickness must be positive, got {width} m and {thickness} m")
    wrapped = track.closed
    points, normals = _blunted(*_distinct(track), wrapped, max(width, thickness) / 2)
    sections = _sections(points, normals, np.array([thickness, width]) / 2, wrapped)
    mesh = trimesh.Trimesh(sections.reshape(-1, 3), _faces(len(sections), wrapped), process=False)
    if mesh.volume < 0:
        mesh.invert()
    return mesh


def _distinct(track):
    """Points and normals without repeats; of a closed track without the repeated end."""
    step = np.linalg.norm(np.diff(track.points, axis=0), axis=1)
    keep = np.append(True, step > 1e-9)
    if track.closed:
        keep[-1] = False
    if keep.sum() < (3 if track.closed else 2):
        raise ValueError(
            f"a swept track must have at least two distinct points (three when closed), got {int(keep.sum())}"
        )
    return track.points[keep], track.normals[keep]


def _blunted(points, normals, wrapped, reach):
    """The path with every corner sharper than 110 degrees cut off `reach` m before and behind it."""
    back, ahead = np.roll(points, 1, axis=0) - points, np.roll(points, -1, axis=0) - points
    far, near = np.linalg.norm(back, axis=1), np.linalg.norm(ahead, axis=1)
    sharp = np.einsum("ij,ij->i", back, ahead) > _SHARP * far * near
    if not wrapped:
        sharp[[0, -1]] = False
    cut = lambda step, size: (np.minimum(reach, size / 3) / size * sharp)[:, None] * step
    pairs = np.stack([points + cut(back, far), points + cut(ahead, near)], axis=1)
    keep = np.stack([np.ones_like(sharp), sharp], axis=1).ravel()
    return pairs.reshape(-1, 3)[keep], np.repeat(normals, 2, axis=0)[keep]


def _sections(points, normals, half, wrapped):
    """Corners (n,4,3) of the section at every point, in the plane that halves the corner there."""
    ends = np.concatenate([points, points[:1]]) if wrapped else points
    step = np.diff(ends, axis=0)
    tangent = step / np.linalg.norm(step, axis=1)[:, None]
    frame, upright = _frames(points, normals, tangent, wrapped)
    k, last = np.arange(len(points)), len(tangent) - 1
    before, after = ((k - 1) % len(points), k) if wrapped else (np.maximum(k - 1, 0), np.minimum(k, last))
    plane = tangent[before] + tangent[after]
    plane /= np.maximum(np.linalg.norm(plane, axis=1), 1e-12)[:, None]
    corners, weight = np.zeros((len(points), 4, 3)), np.zeros(len(points))
    for piece in (before, after):  # a riser takes the section of its neighbour
        use = np.where(upright[piece] & ~(upright[before] & upright[after]), 0.0, 1.0)
        corners += use[:, None, None] * _mitred(frame[piece], tangent[piece], plane, half)
        weight += use
    return points[:, None] + corners / weight[:, None, None]


def _frames(points, normals, tangent, wrapped):
    """For each piece two unit vectors (2,3) across it, thickness then width, and whether it is a riser.

    Across a riser the frame before it is carried over its corner, so that no piece is left without one.
    """
    mean = normals + np.roll(normals, -1, axis=0) if wrapped else normals[:-1] + normals[1:]
    flat = mean - np.einsum("ij,ij->i", mean, tangent)[:, None] * tangent
    size = np.linalg.norm(flat, axis=1) / np.linalg.norm(mean, axis=1)
    upright = size < _UPRIGHT
    thick = flat / np.maximum(np.linalg.norm(flat, axis=1), 1e-300)[:, None]
    for i in np.flatnonzero(upright):
        start = thick[i - 1] if i else np.eye(3)[np.argmin(np.abs(tangent[0]))]
        thick[i] = _carried(start, tangent[i - 1] if i else tangent[0], tangent[i])
    return np.stack([thick, np.cross(tangent, thick)], axis=1), upright


def _carried(vector, before, after):
    """A vector across `before` turned by the smallest rotation that takes `before` to `after`."""
    middle = before + after
    turned = vector - 2 * middle * np.dot(middle, vector) / max(np.dot(middle, middle), 1e-12)
    turned = turned - np.dot(turned, after) * after
    return turned / np.linalg.norm(turned)


def _mitred(frame, tangent, plane, half):
    """Corners (n,4,3), relative to the point, of each section slid along its piece into the plane of the corner."""
    signs = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half
    corner = np.einsum("cs,nsk->nck", signs, frame)
    ahead = np.einsum("nck,nk->nc", corner, plane)
    slope = np.maximum(np.einsum("nk,nk->n", tangent, plane), 1e-6)
    slide = -ahead / slope[:, None]
    longest = _LONGEST_MITRE * half.max()
    return corner + np.clip(slide, -longest, longest)[:, :, None] * tangent[:, None]


def _faces(count, wrapped):
    """Triangles between successive sections of four corners, and the two caps of an open sweep."""
    k = np.arange(count if wrapped else count - 1)[:, None]
    side = np.arange(4)[None]
    corner = lambda dk, ds: (4 * ((k + dk) % count) + (side + ds) % 4).ravel()
    a, b, c, d = corner(0, 0), corner(0, 1), corner(1, 1), corner(1, 0)
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    if wrapped:
        return faces
    end = 4 * (count - 1)
    caps = np.array([[0, 2, 1], [0, 3, 2], [end, end + 1, end + 2], [end, end + 2, end + 3]])
    return np.concatenate([faces, caps])
