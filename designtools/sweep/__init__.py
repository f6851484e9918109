"""Many designs of one spec: a grid, a Latin hypercube, a trade-off, or the scatter of tolerances.

    method         asked for by                          designs
    grid           vary KEY=A:B:N                        every combination of the values
    latin          vary KEY=A:B, samples                 one in each of `samples` slices of every range, seeded
    epsilon        epsilon KEY=A:B:N                     the limit KEY tightened where the trade-off is widest open
    scatter        scatter KEY=SIGMA, samples            the keys normally distributed about the spec's values
    as built       scatter built.WORD=SIGMA, samples     one design, its parts displaced, turned, of other strength

Designs run in local processes, in this one, or on a Dask cluster.  The folder holds `sweep.sqlite` and `sweep.csv`
(one row per design, kept as it ends), `pareto.html`, for scatters `spread.csv`, and one result folder per design.
The same spec, method and seed give the same designs; what has ended is never done again.
"""

from designtools.sweep.outcome import Outcome
from designtools.sweep.plan import Plan, plan
from designtools.sweep.ranges import BadSweep
from designtools.sweep.run import design_one, run

__all__ = ["BadSweep", "Outcome", "Plan", "design_one", "plan", "run"]
