# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation: {extension: .py, format_name: percent}
# ---

# %% [markdown]
# # From the mesh to CAD and to a circuit board
#
# A planar gradient: designed on triangles, cut into turns, joined with jogs, and then wanted by a workshop. What each file holds, read
# back by programs that know nothing of us.

# %%
import tempfile
from pathlib import Path

import numpy as np

import designtools as dt

SPECS = Path(dt.__file__).parents[1] / "specs"
coil = dt.run(SPECS / "pcb_gradient.yaml", overrides={"winding.turns": 5, "target.error": "15 %", "requirements": [], "mesh.resolution": "16 mm", "audit.points": 300})
out = Path(tempfile.mkdtemp())
for name, file in {"step": "coil.step", "stl": "coil.stl", "dxf": "coil.dxf", "kicad": "coil.kicad_pcb", "csv": "coil.csv"}.items():
    for path in coil.export(name, out / file):
        print(f"{name}: {path.name}, {path.stat().st_size / 1024:.0f} kB")
coil

# %% [markdown]
# ## Solids, by trimesh
#
# Volume is length times section; the mesh is closed, or a printer could not fill it.

# %%
import trimesh

solid = trimesh.load(next(out.glob("*.stl")))
winding = coil.windings[0]
wanted = winding.length * winding.width * winding.thickness * 1e9
print(f"closed: {solid.is_watertight}; {solid.volume:.1f} mm^3, length times section {wanted:.1f} mm^3")
print(f"board of {np.ptp(solid.bounds, axis=0)[0]:.1f} mm by {np.ptp(solid.bounds, axis=0)[1]:.1f} mm")

# %% [markdown]
# ## The drawing, by ezdxf, and the board

# %%
import ezdxf

drawing = ezdxf.readfile(next(out.glob("*.dxf")))
lines = [e for e in drawing.modelspace() if e.dxftype() in ("LWPOLYLINE", "POLYLINE", "LINE")]
print(f"DXF: {len(lines)} polylines on layers {', '.join(sorted({e.dxf.layer for e in lines}))}")
board = next(out.glob("*.kicad_pcb")).read_text()
print(f"KiCad: {board.count('(segment')} track segments, {board.count('(via')} vias")

# %% [markdown]
# ## And back again
#
# The table of the centreline is all a simulation needs: the field of the wires read back is the field of the design.

# %%
rows = [line.split(",") for line in next(out.glob("*.csv")).read_text().splitlines() if line and not line.startswith("#")]
print("columns:", ", ".join(rows[0]))
field = np.asarray(coil.source.field([[0.01, 0.0, 0.05]]))[0, 2]
print(f"Bz at 10 mm: {field * 1e6:.2f} uT of {0.01 * coil.figures['gradient_strength'].value * 1e6:.2f} uT wanted")

# %%
assert solid.is_watertight and abs(solid.volume / wanted - 1) < 0.1
assert lines and board.count("(segment") > 100
