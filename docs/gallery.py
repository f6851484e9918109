"""Designs the specs named and keeps a picture and the key figures of each for the gallery of the documentation.

    python docs/gallery.py specs/head_gradient_x.yaml ...

Writes `docs/gallery/<spec>.png` and `.json`; the page is made from these by `docs/website.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent / "gallery"
KEPT = 8  # figures


def curves(source) -> list[tuple[np.ndarray, float]]:
    """Polylines (n,3) m that show a source, each with the sign of what flows or points in it."""
    kind = type(source).__name__
    if kind == "Assembly":
        return [curve for part in source.parts for curve in curves(part)]
    if kind == "Posed":
        return [(np.asarray(source.position) + points, sign) for points, sign in curves(source.source)]
    return {"Filaments": _wires, "Loops": _loops, "Blocks": _blocks, "Magnets": _boxes, "Cylinders": _centres}.get(kind, lambda s: [])(source)


def _wires(wires):
    start, end, current = (np.asarray(a) for a in (wires.start, wires.end, wires.current))
    cuts = 1 + np.flatnonzero(np.linalg.norm(start[1:] - end[:-1], axis=1) > 1e-9)
    runs = zip([0, *cuts], [*cuts, len(start)])
    return [(np.vstack([start[a:b], end[b - 1 : b]]), np.sign(current[a])) for a, b in runs]


def _circle(centre, normal, radius):
    t = np.linspace(0, 2 * np.pi, 73)
    u = np.linalg.svd(np.asarray(normal, float)[None])[2]
    return centre + radius * (np.cos(t)[:, None] * u[1] + np.sin(t)[:, None] * u[2])


def _loops(loops):
    rows = zip(*(np.asarray(a) for a in (loops.centre, loops.normal, loops.radius, loops.current)))
    return [(_circle(c, n, r), np.sign(i)) for c, n, r, i in rows]


def _blocks(blocks):
    rows = zip(*(np.asarray(a) for a in (blocks.inner_radius, blocks.outer_radius, blocks.z_low, blocks.z_high, blocks.current_density)))
    return [(_circle(np.array([0, 0, z]), [0, 0, 1], r), np.sign(j)) for a, b, low, high, j in rows for r in (a, b) for z in (low, high)]


def _boxes(magnets):
    from scipy.spatial.transform import Rotation

    corners = np.array([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1], [-1, -1, -1], [-1, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1], [-1, -1, 1]]) / 2
    rows = zip(*(np.asarray(a) for a in (magnets.centre, magnets.size, magnets.rotation, magnets.polarization)))
    return [(c + Rotation.from_rotvec(r).apply(corners * s), np.sign(Rotation.from_rotvec(r).apply(j).sum())) for c, s, r, j in rows]


def _centres(cylinders):
    return [(np.asarray(cylinders.centre), 1.0)]


def draw(source, path: Path) -> None:
    """A picture of 640 x 480 points in oblique view."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    figure = plt.figure(figsize=(6.4, 4.8), dpi=100)
    axes = figure.add_subplot(projection="3d", proj_type="ortho")
    shown = curves(source)
    for points, sign in shown:
        axes.plot(points[:, 2], points[:, 0], points[:, 1], color="#0b5cad" if sign >= 0 else "#c2410c", linewidth=0.8)
    every = np.concatenate([points for points, _ in shown])
    axes.set_box_aspect(np.ptp(every[:, [2, 0, 1]], axis=0) + 1e-3, zoom=1.3)
    axes.set_axis_off()
    figure.subplots_adjust(0, 0, 1, 1)
    figure.savefig(path)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(16).save(path, optimize=True)  # lines of two colours


def add(spec: Path) -> None:
    """Design one spec and keep its picture and figures."""
    import designtools as dt
    from designtools.result import plain
    from designtools.spec import fingerprint, load

    design = dt.run(spec)
    HERE.mkdir(exist_ok=True)
    record = {"spec": spec.name, "kind": design.kind, "name": design.name, "status": design.status, "fingerprint": fingerprint(load(spec))}
    record |= {"seconds": sum(design.timing_s.values()), "figures": dict(list(plain(design.figures).items())[:KEPT]), "requirements": plain(design.requirements)}
    if curves(design.source):
        draw(design.source, HERE / f"{spec.stem}.png")
    (HERE / f"{spec.stem}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        add(Path(argument))
