"""Several sources as one."""

from __future__ import annotations

from typing import Any

from designtools._pytree import pytree


@pytree
class Assembly:
    """A tuple of sources (assemblies included); its field is the sum of theirs."""

    parts: tuple[Any, ...]

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
