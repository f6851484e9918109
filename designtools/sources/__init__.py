"""Sources: immutable batches of elements with `field(points)`, `potential(points)` and what follows from them."""

from designtools.sources.arcs import Arcs
from designtools.sources.assembly import Assembly
from designtools.sources.blocks import Blocks
from designtools.sources.cylinders import Cylinders
from designtools.sources.dipoles import Dipoles
from designtools.sources.filaments import Filaments
from designtools.sources.loops import Loops
from designtools.sources.magnets import Magnets
from designtools.sources.polyhedra import Polyhedra
from designtools.sources.posed import Posed
from designtools.sources.sheet import Sheet
from designtools.sources.solenoids import Solenoids
from designtools.sources.spheres import Spheres
from designtools.sources.strips import Strips
from designtools.sources.uniform import Uniform

__all__ = [
    "Arcs", "Assembly", "Blocks", "Cylinders", "Dipoles", "Filaments", "Loops", "Magnets", "Polyhedra", "Posed", "Sheet",
    "Solenoids", "Spheres", "Strips", "Uniform",
]  # fmt: skip
