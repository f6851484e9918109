"""Any source, moved and turned as a whole."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from designtools._pytree import Leaf, pytree
from designtools.sources.pose import rotation_matrix


@pytree
class Posed:
    """A source (an Assembly too) turned about its origin by `rotation` and then moved by `position`.

    position (3,) m; rotation (3,) rad, a rotation vector as in `Magnets`.  Differentiable in both.  It has the methods
    `scalar_potential`, `current_elements`, `charge_elements` and `dipole_elements` where the source within has them.
    """

    source: Any
    position: Leaf
    rotation: Leaf

    def check(self):
        if not hasattr(self.source, "field"):
            raise TypeError(f"Posed: source must have a method field(points), got {type(self.source).__name__}")
        if jnp.shape(self.position) != (3,) or jnp.shape(self.rotation) != (3,):
            raise ValueError(
                f"Posed: position and rotation must have shape (3,), got {jnp.shape(self.position)} and "
                f"{jnp.shape(self.rotation)}; give each source of an Assembly its own Posed"
            )

    def __getattr__(self, name):
        optional = _OPTIONAL.get(name)
        if optional is None or not hasattr(self.source, name):
            raise AttributeError(f"a Posed source has no attribute {name!r}")
        return partial(optional, self)

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return self._turned(self.source.field(self._own(points)))

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return self._turned(self.source.potential(self._own(points)))

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to the conductors and magnets."""
        return self.source.extent(np.asarray(self._own(np.asarray(centre)[None]))[0])

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return self._turned(self.source.moment())

    def _own(self, points):
        return (jnp.asarray(points) - self.position) @ self._matrix()

    def _turned(self, vectors):
        return vectors @ self._matrix().T

    def _matrix(self):
        return rotation_matrix(jnp.asarray(self.rotation)[None])[0]


def _scalar_potential(posed, points):
    return posed.source.scalar_potential(posed._own(points))


def _vector_elements(name, posed, *args, **settings):
    points, vectors = getattr(posed.source, name)(*args, **settings)
    return posed._turned(points) + posed.position, posed._turned(vectors)


def _charge_elements(posed, *args, **settings):
    points, charge = posed.source.charge_elements(*args, **settings)
    return posed._turned(points) + posed.position, charge


_OPTIONAL = {
    "scalar_potential": _scalar_potential,
    "charge_elements": _charge_elements,
    "current_elements": partial(_vector_elements, "current_elements"),
    "dipole_elements": partial(_vector_elements, "dipole_elements"),
}
