"""STEP (ISO 10303-21, AP214) in millimetres, written as text: named wires for every track, solids where exact or short.

Tracks and thin wires become polylines, loops circles, blocks exact rings, magnets exact boxes.  The swept
conductor of a winding becomes a solid only while all of them together stay below `FACET_LIMIT` triangles;
CAD programs choke on more.  The STL holds the swept conductors in any case.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from designtools.export import bodies

MILLIMETRES = 1e3
FACET_LIMIT = 6000


def refuses(result) -> str:
    """Why there is nothing to write, or ""."""
    drawable = result.windings or any(type(leaf).__name__ in _DRAWN for leaf in bodies.bare_sources(result))
    return "" if drawable else "the design has no wires, loops, blocks or magnets"


def write(result, path: Path) -> tuple[Path, ...]:
    """One STEP product per winding and per source."""
    text = _Text()
    context = _context(text)
    for winding in result.windings:
        curves = [text.polyline(f"{winding.name} {i + 1}", t.points) for i, t in enumerate(winding.tracks)]
        _product(text, context, winding.name, _wireframe(text, context, winding.name, curves))
    for name, meshes in _swept(result).items():
        shapes = [
            text.polyhedron(f"{name} {i + 1}", mesh.vertices, mesh.faces) for i, mesh in enumerate(meshes)
        ]
        _product(text, context, f"{name} conductor", _breps(text, context, name, shapes))
    for index, leaf in enumerate(bodies.bare_sources(result)):
        kind = type(leaf).__name__
        if kind in _DRAWN:
            _product(
                text, context, f"{kind} {index + 1}", _DRAWN[kind](text, context, f"{kind} {index + 1}", leaf)
            )
    path.write_text(_file(text, result, path.name), encoding="ascii")
    return (path,)


def _swept(result) -> dict[str, list]:
    points = sum(len(track.points) for winding in result.windings for track in winding.tracks)
    if not points or 8 * points > FACET_LIMIT:
        return {}
    solids = [body for body in bodies.solids(result) if body.layer in {w.name for w in result.windings}]
    return {
        layer: [b.mesh for b in solids if b.layer == layer]
        for layer in dict.fromkeys(b.layer for b in solids)
    }


# ---- what each source becomes -----------------------------------------------------------------------


def _filaments(text, context, name, filaments) -> str:
    curves = [text.polyline(f"{name}.{i + 1}", points) for i, points in enumerate(bodies.chains(filaments))]
    return _wireframe(text, context, name, curves)


def _loops(text, context, name, loops) -> str:
    rows = zip(*(np.asarray(leaf, float) for leaf in (loops.centre, loops.normal, loops.radius)))
    curves = [text.circle(f"{name}.{i + 1}", *row) for i, row in enumerate(rows)]
    return _wireframe(text, context, name, curves)


def _blocks(text, context, name, blocks) -> str:
    rings = [text.ring(f"{name}.{i + 1}", *row) for i, row in enumerate(bodies.block_rings(blocks))]
    return _breps(text, context, name, rings)


def _magnets(text, context, name, magnets) -> str:
    boxes = [
        text.polyhedron(f"{name}.{i + 1}", corners, bodies.BOX_QUADS)
        for i, corners in enumerate(bodies.magnet_corners(magnets))
    ]
    return _breps(text, context, name, boxes)


_DRAWN = {"Filaments": _filaments, "Loops": _loops, "Blocks": _blocks, "Magnets": _magnets}


# ---- products and representations -------------------------------------------------------------------


def _context(text) -> dict[str, str]:
    application = text.add("APPLICATION_CONTEXT('automotive design')")
    text.add(
        f"APPLICATION_PROTOCOL_DEFINITION('international standard','automotive_design',2000,{application})"
    )
    length = text.add("(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT(.MILLI.,.METRE.))")
    angle = text.add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
    solid = text.add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
    doubt = text.add(
        f"UNCERTAINTY_MEASURE_WITH_UNIT(LENGTH_MEASURE(1.E-06),{length},'distance_accuracy_value','')"
    )
    space = text.add(
        f"(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNCERTAINTY_ASSIGNED_CONTEXT(({doubt}))"
        f"GLOBAL_UNIT_ASSIGNED_CONTEXT(({length},{angle},{solid}))REPRESENTATION_CONTEXT('',''))"
    )
    return {
        "product": text.add(f"PRODUCT_CONTEXT('',{application},'mechanical')"),
        "definition": text.add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')"),
        "space": space,
    }


def _product(text, context, name: str, representation: str) -> None:
    label = _string(name)
    product = text.add(f"PRODUCT({label},{label},'',({context['product']}))")
    text.add(f"PRODUCT_RELATED_PRODUCT_CATEGORY('part',$,({product}))")
    formation = text.add(f"PRODUCT_DEFINITION_FORMATION('','',{product})")
    definition = text.add(f"PRODUCT_DEFINITION('design','',{formation},{context['definition']})")
    shape = text.add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
    text.add(f"SHAPE_DEFINITION_REPRESENTATION({shape},{representation})")


def _wireframe(text, context, name: str, curves: list[str]) -> str:
    curve_set = text.add(f"GEOMETRIC_CURVE_SET({_string(name)},({','.join(curves)}))")
    items = f"{text.placement(across=(1, 0, 0))},{curve_set}"
    kind = "GEOMETRICALLY_BOUNDED_WIREFRAME_SHAPE_REPRESENTATION"
    return text.add(f"{kind}({_string(name)},({items}),{context['space']})")


def _breps(text, context, name: str, shapes: list[str]) -> str:
    items = ",".join([text.placement(across=(1, 0, 0)), *shapes])
    return text.add(f"ADVANCED_BREP_SHAPE_REPRESENTATION({_string(name)},({items}),{context['space']})")


# ---- entities ---------------------------------------------------------------------------------------


class _Text:
    """The data section under construction: `add` appends an entity and returns its reference."""

    def __init__(self):
        self.lines: list[str] = []

    def add(self, entity: str) -> str:
        self.lines.append(f"#{len(self.lines) + 1}={entity};")
        return f"#{len(self.lines)}"

    def point(self, metres) -> str:
        return self.add(f"CARTESIAN_POINT('',({_reals(np.asarray(metres) * MILLIMETRES)}))")

    def direction(self, vector) -> str:
        return self.add(f"DIRECTION('',({_reals(np.asarray(vector) / np.linalg.norm(vector))}))")

    def placement(self, origin=(0, 0, 0), axis=(0, 0, 1), across=None) -> str:
        across = _perpendicular(axis) if across is None else across
        parts = (self.point(origin), self.direction(axis), self.direction(across))
        return self.add(f"AXIS2_PLACEMENT_3D('',{','.join(parts)})")

    def polyline(self, name: str, points) -> str:
        closed = np.allclose(points[0], points[-1], rtol=0, atol=1e-12)
        references = [self.point(point) for point in (points[:-1] if closed else points)]
        references += references[:1] if closed else []
        return self.add(f"POLYLINE({_string(name)},({','.join(references)}))")

    def circle(self, name: str, centre, normal, radius, across=None) -> str:
        place = self.placement(centre, normal, across)
        return self.add(f"CIRCLE({_string(name)},{place},{_real(radius * MILLIMETRES)})")

    def vertex(self, metres) -> str:
        return self.add(f"VERTEX_POINT('',{self.point(metres)})")

    def straight_edge(self, a: str, b: str, start, end) -> str:
        along = self.add(f"VECTOR('',{self.direction(np.subtract(end, start))},1.)")
        line = self.add(f"LINE('',{self.point(start)},{along})")
        return self.add(f"EDGE_CURVE('',{a},{b},{line},.T.)")

    def loop(self, edges: Iterable[tuple[str, bool]]) -> str:
        oriented = [self.add(f"ORIENTED_EDGE('',*,*,{edge},{_flag(forward)})") for edge, forward in edges]
        return self.add(f"EDGE_LOOP('',({','.join(oriented)}))")

    def face(self, surface: str, outer: str, inner: str | None = None, same_sense: bool = True) -> str:
        bounds = [self.add(f"FACE_OUTER_BOUND('',{outer},.T.)")]
        bounds += [self.add(f"FACE_BOUND('',{inner},.T.)")] if inner else []
        return self.add(f"ADVANCED_FACE('',({','.join(bounds)}),{surface},{_flag(same_sense)})")

    def solid(self, name: str, faces: list[str]) -> str:
        shell = self.add(f"CLOSED_SHELL('',({','.join(faces)}))")
        return self.add(f"MANIFOLD_SOLID_BREP({_string(name)},{shell})")

    def polyhedron(self, name: str, vertices, polygons) -> str:
        """A solid of flat faces; polygons run counter-clockwise seen from outside."""
        vertices, polygons = np.asarray(vertices, float), [list(map(int, polygon)) for polygon in polygons]
        corner = [self.vertex(vertex) for vertex in vertices]
        pairs = {tuple(sorted(pair)) for polygon in polygons for pair in _sides(polygon)}
        edges = {
            (a, b): self.straight_edge(corner[a], corner[b], vertices[a], vertices[b])
            for a, b in sorted(pairs)
        }
        return self.solid(name, [self._flat_face(vertices, polygon, edges) for polygon in polygons])

    def _flat_face(self, vertices, polygon: list[int], edges) -> str:
        a, b, c = vertices[polygon[:3]]
        plane = self.add(f"PLANE('',{self.placement(a, np.cross(b - a, c - a), b - a)})")
        sides = [(edges[tuple(sorted(side))], side[0] < side[1]) for side in _sides(polygon)]
        return self.face(plane, self.loop(sides))

    def ring(self, name: str, inner: float, outer: float, low: float, high: float) -> str:
        """A solid of revolution about z with rectangular section; every face bounded by its two rims and a seam."""
        rim, seam = {}, {}
        for radius in (inner, outer):
            ends = [self.vertex((radius, 0, z)) for z in (low, high)]
            for end, z in zip(ends, (low, high)):
                circle = self.circle("", (0, 0, z), (0, 0, 1), radius, (1, 0, 0))
                rim[radius, z] = self.add(f"EDGE_CURVE('',{end},{end},{circle},.T.)")
            seam[radius] = self.straight_edge(*ends, (radius, 0, low), (radius, 0, high))
        faces = [self._wall(outer, rim[outer, low], rim[outer, high], seam[outer], outward=True)]
        faces += [self._wall(inner, rim[inner, low], rim[inner, high], seam[inner], outward=False)]
        for z, up in ((low, False), (high, True)):
            plane = self.add(f"PLANE('',{self.placement((0, 0, z), (0, 0, 1 if up else -1), (1, 0, 0))})")
            faces.append(
                self.face(plane, self.loop([(rim[outer, z], up)]), self.loop([(rim[inner, z], not up)]))
            )
        return self.solid(name, faces)

    def _wall(self, radius: float, low: str, high: str, seam: str, outward: bool) -> str:
        place = self.placement((0, 0, 0), (0, 0, 1), (1, 0, 0))
        surface = self.add(f"CYLINDRICAL_SURFACE('',{place},{_real(radius * MILLIMETRES)})")
        around = [(low, True), (seam, True), (high, False), (seam, False)]
        if not outward:
            around = [(edge, not forward) for edge, forward in reversed(around)]
        return self.face(surface, self.loop(around), same_sense=outward)


def _sides(polygon: list[int]) -> list[tuple[int, int]]:
    return list(zip(polygon, polygon[1:] + polygon[:1]))


def _perpendicular(axis) -> np.ndarray:
    axis = np.asarray(axis, float)
    return np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])


# ---- ISO 10303-21 text ------------------------------------------------------------------------------


def _file(text: _Text, result, name: str) -> str:
    frame = ", ".join(f"{key} {value}" for key, value in result.frame.items())
    head = [
        "ISO-10303-21;",
        "HEADER;",
        f"FILE_DESCRIPTION(({_string(f'MRI hardware design; frame: {frame}')}),'2;1');",
        f"FILE_NAME({_string(name)},'',(''),(''),'designtools','designtools','');",
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN { 1 0 10303 214 1 1 1 1 }'));",
        "ENDSEC;",
        "DATA;",
    ]
    return "\n".join([*head, *text.lines, "ENDSEC;", "END-ISO-10303-21;", ""])


def _string(text: str) -> str:
    """A string literal: quotes and backslashes doubled, everything beyond ASCII in \\X2\\ or \\X4\\ form."""
    out = "".join(_character(char) for char in str(text))
    return f"'{out}'"


def _character(char: str) -> str:
    if char in "'\\":
        return char * 2
    if " " <= char <= "~":
        return char
    code = ord(char)
    return f"\\X2\\{code:04X}\\X0\\" if code < 0x10000 else f"\\X4\\{code:08X}\\X0\\"


def _real(value: float) -> str:
    mantissa, _, exponent = f"{float(value):.15g}".partition("e")
    mantissa += "" if "." in mantissa else "."
    return mantissa + (f"E{exponent}" if exponent else "")


def _reals(values) -> str:
    return ",".join(_real(value) for value in values)


def _flag(value: bool) -> str:
    return ".T." if value else ".F."
