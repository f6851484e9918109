"""Into the frame of a source and back, component by component."""

from __future__ import annotations


def to_own(xyz, centre, axes):
    """Position in the source's frame: three arrays; axes: the nine entries, row by row, of the matrix of its axes."""
    d = tuple(p - c for p, c in zip(xyz, centre))
    return tuple(axes[j] * d[0] + axes[3 + j] * d[1] + axes[6 + j] * d[2] for j in range(3))


def from_own(vector, axes):
    """A vector of the source's frame as seen from outside: three arrays."""
    return tuple(sum(axes[3 * i + j] * vector[j] for j in range(3)) for i in range(3))
