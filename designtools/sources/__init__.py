"""Sources: immutable batches of elements with `field(points)` and `potential(points)`."""

from designtools.sources.assembly import Assembly
from designtools.sources.filaments import Filaments
from designtools.sources.sheet import Sheet
from designtools.sources.uniform import Uniform

__all__ = ["Assembly", "Filaments", "Sheet", "Uniform"]
