"""Several sources as one."""

from __future__ import annotations

from dataclasses import replace
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from designtools._pytree import pytree
from designtools.sources.posed import Posed


@pytree
class Assembly:
    """A tuple of sources (assemblies included); its field is the sum of theirs."""

    parts: Sequence[Any]  # a tuple, once made

    def check(self):
        if not isinstance(self.parts, (list, tuple)) or not self.parts:
            raise ValueError(f"Assembly: parts must be a non-empty list of sources, got {self.parts!r}")
        for part in self.parts:
            if not hasattr(part, "field"):
                raise TypeError(
                    f"Assembly: every part must have a method field(points), got {type(part).__name__}"
                )
        object.__setattr__(self, "parts", tuple(self.parts))

    def field(self, points):
        """Flux density (P,3) T at points (P,3) m."""
        return sum(part.field(points) for part in self.parts)

    def potential(self, points):
        """Vector potential (P,3) T·m at points (P,3) m."""
        return sum(part.potential(points) for part in self.parts)

    def scalar_potential(self, points):
        """Scalar potential (P,) A at points (P,3) m; every part must have one."""
        return sum(part.scalar_potential(points) for part in self.parts)

    def extent(self, centre) -> tuple[float, float]:
        """(nearest, farthest) distance in m from centre (3,) to any conductor or magnet."""
        nearest, farthest = zip(*(part.extent(centre) for part in self.parts))
        return min(nearest), max(farthest)

    def current_elements(self, nodes: int = 64):
        """Points (Q,3) m and I dl (Q,3) A·m of the parts that carry current."""
        return _joined([part.current_elements(nodes) for part in leaves(self) if hasattr(part, "current_elements")], 3)

    def charge_elements(self, nodes: int = 64):
        """Points (Q,3) m and charges (Q,) A·m of the parts that are polarised."""
        return _joined([part.charge_elements(nodes) for part in leaves(self) if hasattr(part, "charge_elements")])

    def moment(self):
        """Magnetic dipole moment (3,) A·m2."""
        return sum(part.moment() for part in self.parts)


def leaves(source) -> list:
    """The sources in a source that are not assemblies themselves; any other source is its own only leaf."""
    if isinstance(source, Assembly):
        return [leaf for part in source.parts for leaf in leaves(part)]
    if isinstance(source, Posed):
        return [replace(source, source=leaf) for leaf in leaves(source.source)]
    return [source]


def _joined(pairs, *width):
    """Points and values one after another; none at all make empty arrays."""
    if not pairs:
        return jnp.zeros((0, 3)), jnp.zeros((0, *width))
    return tuple(jnp.concatenate(arrays) for arrays in zip(*pairs))
