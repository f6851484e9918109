"""Sources: immutable batches of elements with `field(points)` and `potential(points)`."""

from designtools.sources.assembly import Assembly
from designtools.sources.blocks import Blocks
from designtools.sources.filaments import Filaments
from designtools.sources.loops import Loops
from designtools.sources.magnets import Magnets
from designtools.sources.sheet import Sheet
from designtools.sources.uniform import Uniform

__all__ = ["Assembly", "Blocks", "Filaments", "Loops", "Magnets", "Sheet", "Uniform"]
