"""Systems: what a spec may say, which parts a change redoes, couplings against exact sums, requirements one by one.

Finished parts are stand-ins of a few loops written as result folders, so that no coil is designed here.
"""

import numpy as np
import pytest

from designtools import pipeline
from designtools.inductance import inductance
from designtools.fields import force, torque
from designtools.quantities import coupling, eddy
from designtools.recipes import system_eddies, system_joint, system_parts
from designtools.result import Figure, Result, evaluate_requirements, load, write
from designtools.sources import Assembly, Blocks, Filaments, Loops
from designtools.spec import SpecError, fingerprint, resolved
from designtools.spec import load as load_spec
from designtools.spec.references import ReferenceProblem, value_of
from designtools.spec.system_stack import StackLayer, left_over, stacked_up
from designtools.units import parse

RADIUS = 0.1


def loops(radius, heights, currents) -> Loops:
    count = len(heights)
    centre = np.stack([np.zeros(count), np.zeros(count), np.asarray(heights, float)], axis=1)
    return Loops(centre, np.tile([0.0, 0.0, 1.0], (count, 1)), np.full(count, float(radius)), np.asarray(currents, float))


MAGNET = loops(0.2, [-0.1, 0.1], [8000.0, 8000.0])
MAXWELL = loops(RADIUS, [-RADIUS * 3**0.5 / 2, RADIUS * 3**0.5 / 2], [-50.0, 50.0])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Result folders of a magnet, a gradient coil along z, and a gradient coil that is not symmetric."""
    folder = tmp_path_factory.mktemp("finished")
    figures = {"magnet_mass": Figure(20.0, "kg", "weighed"), "central_field": Figure(0.07, "T", "measured", 1e-4)}
    write(Result("magnet", "magnet", "done", figures=figures, source=MAGNET, spec={"kind": "magnet", "name": "magnet"}), folder / "magnet", ())
    slope = {"slew_rate": Figure(100.0, "T/m/s", ""), "efficiency": Figure(1e-4, "T/m/A", ""), "conductor_mass": Figure(1.5, "kg", ""), "dissipated_power": Figure(80.0, "W", "")}
    spec = {"kind": "gradient", "name": "z", "target": {"gradient_axis": "z"}}
    rows = evaluate_requirements([{"quantity": "slew_rate", "op": ">=", "limit": 90.0}], slope)
    write(Result("gradient", "z", "done", figures=slope, requirements=rows, source=MAXWELL, spec=spec), folder / "gradient", ())
    return folder


def scanner(finished, **changes):
    return {
        "kind": "system", "name": "bench", "region": {"radius": "40 mm"}, "shared": {"bore": "90 mm"},
        "parts": {"magnet": {"result": str(finished / "magnet")}, "gradient": {"result": str(finished / "gradient"), "duty": "50 %"}},
        "stack": [
            {"name": "screen", "inner_radius": "= shared.bore", "outer_radius": "= shared.bore + 1 mm", "length": "300 mm", "tolerance": "0.5 mm", "clearance": "2 mm"},
            {"name": "gradient", "inner_radius": "99 mm", "outer_radius": "101 mm", "length": "250 mm", "tolerance": "0.5 mm", "owner": "gradient"},
        ],
        "conductors": [{"name": "screen", "radius": "= shared.bore + 0.5 mm", "length": "300 mm", "thickness": "1 mm", "resistivity": "17 nohm·m"}],
        "amplifiers": [{"name": "amp", "drives": "gradient", "voltage": "60 V", "efficiency": "80 %", "standby": "10 W", "mass": "4 kg", "price": 500}],
        "items": [{"name": "frame", "count": 2, "mass": "3 kg", "price": 50}],
        "prices": [{"part": "magnet", "figure": "magnet_mass", "price": 80, "per": "kg"}],
        "cooling": [{"name": "air", "takes": ["gradient", "screen"], "capacity": "60 W"}],
        "electronics": [{"name": "console", "position": ["1 m", "0 m", "0 m"], "limit": "1 mT"}],
        "siting": {"scanner": {"length": "500 mm", "width": "500 mm", "height": "1.3 m"}},
        "requirements": [
            {"quantity": "total_mass", "op": "<=", "limit": 40, "unit": "kg", "source": "payload", "edition": "2"},
            {"quantity": "gradient.net_force", "op": "<=", "limit": "1 N", "source": "mounting"},
            {"quantity": "magnet.homogeneity_pp", "op": "<=", "limit": "10 ppm", "source": "plan"},
        ],
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def result(finished, tmp_path_factory):
    return pipeline.run(scanner(finished), out=tmp_path_factory.mktemp("out") / "bench")


def sentences(data) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(data)
    return str(caught.value)


# --- values that follow from others -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, value",
    [
        ("= a", "90 mm"), ("= a + 1 mm", 0.091), ("= 0.5 * a - 5 mm", 0.04), ("= -2 * a + a", -0.09), ("= b", [1, 2]), ("= 3 mm - a", -0.087),
    ],
)  # fmt: skip
def test_references_add_up(text, value):
    found = value_of(text, {"a": "90 mm", "b": [1, 2]}.__getitem__)
    assert found == value if isinstance(value, (str, list)) else found == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("text, words", [("= a + 2 A", "one dimension"), ("= a - 5", "give 5 a unit"), ("= 2 * 3 mm", "must be a sum"), ("= a / b", "must be a sum"), ("=", "must be a sum")])
def test_references_that_mean_nothing_are_refused(text, words):
    with pytest.raises(ReferenceProblem, match=words):
        value_of(text, {"a": "90 mm", "b": "2 mm"}.__getitem__)


GRADIENT = {
    "kind": "gradient", "region": {"radius": "= region.radius"}, "target": {"gradient_axis": "z", "strength": "10 mT/m"},
    "primary": {"radius": "= shared.bore", "length": "300 mm"}, "conductor": {"width": "3 mm", "thickness": "1 mm"}, "winding": {"turns": 6},
}  # fmt: skip


def two_coils(**changes):
    second = GRADIENT | {"primary": {"radius": "= inner.primary.radius + 5 mm + inner.conductor.spacing", "length": "300 mm"}}
    return {"kind": "system", "name": "coils", "region": {"radius": "50 mm"}, "shared": {"bore": "100 mm"}, "parts": {"inner": GRADIENT, "outer": second}} | changes


def test_parts_refer_to_each_other_and_to_defaults():
    spec = load_spec(two_coils())
    assert spec.parts["outer"].spec["primary"]["radius"] == "106 mm"  # 1 mm is the default spacing
    assert load_spec(two_coils(), {"shared.bore": "110 mm"}).parts["outer"].spec["primary"]["radius"] == "116 mm"
    assert load_spec(two_coils(), {"parts.inner.primary.radius": "90 mm"}).parts["outer"].spec["primary"]["radius"] == "96 mm"
    again = load_spec(resolved(spec))
    assert fingerprint(again) == fingerprint(spec)


def test_a_part_may_be_a_file_with_changes(tmp_path):
    (tmp_path / "coil.yaml").write_text("kind: gradient\nname: a coil\nregion: {radius: 50 mm}\ntarget: {gradient_axis: x, strength: 10 mT/m}\nprimary: {radius: 100 mm, length: 300 mm}\nconductor: {width: 3 mm, thickness: 1 mm}\nwinding: {turns: 6}\n")
    (tmp_path / "system.yaml").write_text("kind: system\nname: s\nregion: {radius: 50 mm}\nshared: {r: 120 mm}\nparts:\n  coil: {spec: coil.yaml, set: {primary.radius: = shared.r, winding: {turns: 7}}}\n  same: coil.yaml\n")
    spec = load_spec(tmp_path / "system.yaml")
    assert spec.parts["coil"].spec["primary"]["radius"] == "120 mm" and spec.parts["coil"].spec["winding"]["turns"] == 7
    assert spec.parts["same"].spec["primary"]["radius"] == "100 mm"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"parts": {"a": GRADIENT | {"primary": {"radius": "= shared.bor", "length": "300 mm"}}}}, "parts.a.spec.primary.radius: must name a value that is there, got 'shared.bor' without 'bor'; did you mean 'bore'?"),
        ({"parts": {"a": GRADIENT | {"primary": {"radius": "= b.primary.radius", "length": "300 mm"}}}}, "must name a part or a key of this spec, got 'b.primary.radius'"),
        ({"parts": {"a": GRADIENT | {"primary": {"radius": "= b.primary.radius", "length": "1 m"}}, "b": GRADIENT | {"primary": {"radius": "= a.primary.radius", "length": "1 m"}}}}, "must not refer in a circle, got a -> b -> a"),
        ({"parts": {"a": GRADIENT | {"primry": 3}}}, "parts.a.spec.primry: must be a known key"),
        ({"parts": {"a": GRADIENT | {"region": {"radius": "200 mm"}}}}, "parts.a.spec.region.radius: must keep the region inside the primary coil"),
        ({"parts": {"a": "nothing.yaml"}}, "must be an existing spec file"),
        ({"parts": {"a": {"result": "nowhere"}}}, "must be the folder of a finished design"),
        ({"parts": {"a": {"spec": GRADIENT, "result": "x"}}}, "must be given, or `result`, and not both"),
        ({"parts": {"region": GRADIENT}}, "that is no key of a system"),
        ({"parts": {"a": GRADIENT | {"kind": "system"}}}, "must be a kind of part"),
        ({"parts": {"a": GRADIENT | {"frame": {"b0_axis": "x"}}}}, "must have the axes of the system"),
        ({"parts": {"a": GRADIENT | {"target": {"gradient_axis": "z", "strength": "= b.figures.efficiency"}}}}, "must name a part or a key of this spec, got 'b.figures.efficiency'; parts: a"),
        ({"rf_shield": "foil"}, "rf_shield: must name one of none that is there"),
        ({"amplifiers": [{"name": "x", "drives": "iner"}]}, "got 'iner'; did you mean 'inner'?"),
        ({"prices": [{"part": "inner", "figure": "conductor_mass", "price": 1, "per": "m"}]}, "prices.0.per: must be a mass"),
        ({"requirements": [{"quantity": "inner.torq", "op": "<=", "limit": 1}]}, "must be a known figure, alone or behind the name of a part, got 'inner.torq'; did you mean 'torque'?"),
        ({"requirements": [{"quantity": "nobody.torque", "op": "<=", "limit": 1}]}, "requirements.0.quantity: must name one of inner, outer, got 'nobody'"),
        ({"requirements": [{"quantity": "total_mass", "op": "<=", "limit": "3 m"}]}, "it is the limit of total_mass"),
        ({"joint": {"free": {"boor": {"min": "1 m", "max": "2 m"}}, "minimise": [{"quantity": "inner.inductance", "scale": "1 H"}]}}, "must be a name under `shared`"),
        ({"body": {"semi_axes": ["200 mm", "80 mm", "80 mm"]}, "stack": [{"name": "tube", "inner_radius": "90 mm", "outer_radius": "95 mm", "length": "1 m"}]}, "must pass through the innermost layer"),
    ],
)  # fmt: skip
def test_system_mistakes(changes, words):
    assert words in sentences(two_coils(**changes))


# --- the stack ----------------------------------------------------------------------------------------------


def test_stack_up_of_eight_layers():
    """Worst case and root sum square: sums of eight thicknesses and tolerances worked out by hand."""
    nominal, worst, spread = stacked_up([300, 5, 12, 30, 4, 6, 45, 4], [0.5, 0.5, 1, 1, 0.5, 0.5, 1.5, 0.5])
    assert (nominal, worst) == (406.0, 412.0) and spread == pytest.approx(5.5**0.5, rel=1e-12)


def layer(name, inner, outer, **more):
    return StackLayer(name=name, inner_radius=inner, outer_radius=outer, length=1.0, **more)


def test_gaps_of_the_stack():
    found = left_over((layer("a", 0.10, 0.11, tolerance=3e-4, clearance=1e-3), layer("b", 0.112, 0.12, tolerance=4e-4), layer("c", 0.2, 0.3)))
    assert [(g.inner, g.outer) for g in found] == [(0, 1), (1, 2)]
    assert found[0].nominal == pytest.approx(1e-3) and found[0].worst == pytest.approx(3e-4) and found[0].likely == pytest.approx(5e-4)
    aside = layer("d", 0.105, 0.2).model_copy(update={"centre": 5.0})
    assert left_over((layer("a", 0.10, 0.11), aside)) == []


@pytest.mark.parametrize("inner, words", [("100.5 mm", "as drawn 0.5 mm are missing"), ("101.2 mm", "with the root sum square of both tolerances")])
def test_an_overlap_is_refused_in_words(inner, words):
    tube = {"outer_radius": "101 mm", "inner_radius": "99 mm", "length": "1 m", "tolerance": "0.3 mm"}
    data = two_coils(stack=[tube | {"name": "in"}, tube | {"name": "out", "inner_radius": inner, "outer_radius": "110 mm"}])
    assert words in sentences(data) and "'in'" in sentences(data)


# --- which parts a change redoes ----------------------------------------------------------------------------


class Workshop:
    """Writes a folder for every part that it is asked for, and remembers which."""

    def __init__(self):
        self.made = []

    def __call__(self, model, out, progress=None):
        self.made.append(model.name)
        radius = model.primary.radius
        figures = {"efficiency": Figure(1e-4 / radius, "T/m/A", ""), "resistance": Figure(100 * (radius - 0.11) ** 2 + 1, "ohm", "")}
        result = Result("gradient", model.name, "done", figures=figures, source=loops(radius, [0.1], [1.0]), spec=resolved(model))
        return Result(**{**vars(result), "folder": write(result, out, ())})


def built(spec, store):
    shop = Workshop()
    folders = system_parts.designed(spec, store, shop, lambda sentence: None)
    return shop.made, folders


def three_coils(**shared):
    """`third` asks a figure of `outer`, which refers to the radius of `inner`."""
    third = GRADIENT | {"target": {"gradient_axis": "z", "strength": "= 2 * outer.figures.efficiency"}}
    parts = two_coils()["parts"] | {"third": third | {"primary": {"radius": "= shared.other", "length": "300 mm"}}}
    return load_spec(two_coils(parts=parts, shared={"bore": "100 mm", "other": "130 mm"} | shared))


def test_a_change_redoes_only_what_depends_on_it(tmp_path):
    assert built(three_coils(), tmp_path)[0] == ["inner", "outer", "third"]
    made, folders = built(three_coils(), tmp_path)
    assert made == [] and set(folders) == {"inner", "outer", "third"}
    assert built(three_coils(other="131 mm"), tmp_path)[0] == ["third"]
    assert built(three_coils(bore="101 mm"), tmp_path)[0] == ["inner", "outer", "third"]  # third: its strength follows outer
    assert built(three_coils(), tmp_path)[0] == []
    data = load(folders["third"]).spec
    assert parse(data["target"]["strength"], "gradient") == pytest.approx(2e-4 / 0.106, rel=1e-12)


def test_the_hash_of_a_part_follows_the_files_it_reads(tmp_path):
    spec = load_spec(GRADIENT | {"name": "a", "region": {"radius": 0.05}, "primary": {"radius": 0.1, "length": 0.3}})
    table = tmp_path / "map.csv"
    hashes = set()
    for value in "12":
        table.write_text(f"x,y,z,b\n0,0,0,{value}\n0,0,1,2\n")
        hashes.add(system_parts.content_hash(spec.model_copy(update={"target": spec.target.model_copy(update={"field_map": table})})))
    assert len(hashes) == 2


def test_a_part_without_a_design_ends_the_system(tmp_path):
    def nothing(model, out, progress=None):
        return Result("gradient", model.name, "infeasible", "raise target.error")

    with pytest.raises(system_parts.Unfinished, match="inner: raise target.error"):
        system_parts.designed(load_spec(two_coils()), tmp_path, nothing, lambda sentence: None)


def test_a_joint_search_finds_the_best_shared_value(tmp_path):
    aims = [{"quantity": "inner.resistance", "scale": "1 ohm"}]
    joint = {"free": {"bore": {"min": "90 mm", "max": "130 mm"}}, "minimise": aims, "trials": 12, "tolerance": "1 %"}
    spec = load_spec(two_coils(joint=joint))
    chosen, folders, record = system_parts.finished(spec, tmp_path, Workshop(), lambda sentence: None)
    assert record["shared"]["bore"] == pytest.approx(0.11, abs=1e-3) and record["joint"] < record["separate"] == pytest.approx(1.01)
    assert parse(chosen.parts["inner"].spec["primary"]["radius"], "length") == record["shared"]["bore"]
    assert load(folders["inner"]).figures["resistance"].value == pytest.approx(record["joint"])


def test_descent_of_two_values():
    seen = []
    found = system_joint.descend(lambda x: seen.append(x) or float((x[0] - 0.7) ** 2 + 2 * (x[1] - 0.2) ** 2), [0.5, 0.5], 30, 0.01)
    np.testing.assert_allclose(found, [0.7, 0.2], atol=0.02)
    assert len(seen) <= 30


# --- couplings ----------------------------------------------------------------------------------------------


def test_mutual_inductance_against_adaptive_integrals():
    wire = Filaments.from_path(np.array([[0.02, 0.02, 0.05], [-0.02, 0.02, 0.05], [-0.02, -0.02, 0.06], [0.02, -0.02, 0.05]]), 3.0, closed=True)
    a, b = coupling.circuits([MAXWELL], [50.0]), coupling.circuits([wire, loops(0.04, [0.03], [2.0])], [3.0, 2.0])
    found = coupling.mutual(a, b)
    exact = [float(inductance([MAXWELL, other], wire_radius=1e-3)[0, 1]) for other in b.sources]
    np.testing.assert_allclose(np.abs(found[0]), np.abs(exact), rtol=2e-4)
    np.testing.assert_allclose(coupling.mutual(b, a), found.T, rtol=2e-4)


def test_loads_against_forces_and_reaction():
    coil = loops(0.05, [0.07], [100.0])
    points, flow = coupling.elements(coil)
    push, twist = coupling.load(points, flow, MAGNET)
    np.testing.assert_allclose(push, force(coil, MAGNET), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(twist, torque(coil, MAGNET), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(push, -np.asarray(force(MAGNET, coil)), rtol=1e-9, atol=1e-9)


def test_a_perfect_shield_takes_the_share_of_areas():
    """Inside a long tube without resistance a long solenoid keeps 1 - (a/b)^2 of field and inductance."""
    from designtools.formers.cylinder import Cylinder

    a, b, length = 0.05, 0.08, 0.6
    modes = eddy.eddy_modes([eddy.shell("tube", Cylinder(b, 0.7, np.eye(3), np.zeros(3)).mesh(b / 2.2), 1e-4, 5.8e7)], [])
    heights = np.linspace(-length / 2, length / 2, 61)
    coil = loops(a, heights, np.ones(61))
    amperes, lost = coupling.image_response(modes, eddy.linked_flux(modes, coil))
    seen = eddy.mode_fields(modes, np.zeros((1, 3)), [0, 0, 1])[0]
    own = float(np.asarray(coil.field(np.zeros((1, 3))))[0, 2])
    assert 1 + seen @ amperes / own == pytest.approx(1 - (a / b) ** 2, abs=0.04) and lost > 0


# --- the whole ----------------------------------------------------------------------------------------------


def test_budgets(result):
    value = lambda name: result.figures[name].value
    assert value("total_mass") == pytest.approx(20 + 1.5 + 4 + 6)
    assert value("total_cost") == pytest.approx(20 * 80 + 500 + 100) and result.figures["total_cost"].unit == "EUR"
    layers = 2 * 0.5 * value("gradient.eddy_power")  # duty is a mean square; a sinusoid's is half of its peak's
    assert layers > 0.1
    assert value("total_power") == pytest.approx(40 / 0.8 + 10 + layers / 0.8, rel=1e-6)
    assert value("total_heat") == pytest.approx(value("total_power"), rel=1e-9)
    assert value("cooling_load_max") == pytest.approx((40 + layers) / 60, rel=1e-6)
    assert value("stack_gap_worst") == pytest.approx(5e-3) and value("stack_gap_rss") == pytest.approx(6e-3 - 0.5e-3 * 2**0.5)


def test_couplings_of_the_whole(result):
    exact = np.asarray(force(MAXWELL, MAGNET))
    assert result.figures["gradient.net_force"].value == pytest.approx(np.linalg.norm(exact), rel=1e-9)
    assert result.figures["magnet.net_force"].value == result.figures["gradient.net_force"].value
    still = np.linalg.norm(np.asarray(MAGNET.field(np.array([[1.0, 0, 0]]))))
    switched = np.linalg.norm(np.asarray(MAXWELL.field(np.array([[1.0, 0, 0]]))))
    assert result.figures["electronics.console"].value == pytest.approx(still + switched, rel=1e-9)
    assert 0 < result.figures["concomitant_shift_max"].value < 0.02


def test_the_line_lies_just_outside_the_grown_covers(result):
    grown = result.figures["cover_distance_0p5mT"].value
    height = 0.25 + grown
    across = np.linspace(-height, height, 81)
    top = np.stack([*(g.ravel() for g in np.meshgrid(across, across)), np.full(81**2, height)], axis=1)
    sizes = np.linalg.norm(np.asarray(MAGNET.field(top)), axis=1)
    assert sizes.max() <= 0.5e-3 * (1 + 1e-3) and np.linalg.norm(np.asarray(MAGNET.field(top * (1 - 0.01)))).max() > 0.5e-3


def test_every_requirement_states_its_source(result):
    rows = {row["quantity"]: row for row in result.requirements}
    assert rows["total_mass"]["status"] == "MET" and (rows["total_mass"]["source"], rows["total_mass"]["edition"]) == ("payload", "2")
    assert rows["magnet.homogeneity_pp"]["status"] == "NOT EVALUATED"
    assert rows["gradient.slew_rate"]["status"] == "MET" and rows["gradient.slew_rate"]["source"] == "spec of gradient"
    assert rows["stack_gap_worst"]["status"] == rows["electronics.console"]["status"] == "MET"
    assert result.status == "requirement missed" and all("source" in row for row in result.requirements)


def test_changing_one_limit_flips_exactly_its_rows(finished, result):
    before = {(r["quantity"], r["source"]): r["status"] for r in result.requirements}
    changed = scanner(finished, requirements=[r | ({"limit": 10} if r["quantity"] == "total_mass" else {}) for r in scanner(finished)["requirements"]])
    asked = [rule.asked for rule in load_spec(changed).requirements]
    own = {r["quantity"] for r in asked}
    others = [{k: r[k] for k in ("quantity", "op", "limit", "source", "edition")} for r in result.requirements if r["quantity"] not in own]
    after = {(r["quantity"], r["source"]): r["status"] for r in evaluate_requirements(asked + others, result.figures)}
    assert {key for key in before if before[key] != after[key]} == {("total_mass", "payload")}


def test_a_figure_outside_its_model_is_neither_met_nor_missed():
    figures = {"a": Figure(1.0, "m", "OUTSIDE MODEL: the fit ends at 10 T")}
    row = evaluate_requirements([{"quantity": "a", "op": "<=", "limit": 2.0, "source": "plan"}], figures)[0]
    assert row["status"] == "OUTSIDE MODEL" and row["value"] == 1.0


def test_the_folder_holds_the_parts_and_the_report_says_what_it_is(result):
    again = load(result.folder)
    assert set(again.parts) == {"magnet", "gradient"} and load(again.parts["magnet"]).name == "magnet"
    assert (result.folder / "siting").is_dir()
    page = (result.folder / "report.html").read_text()
    assert "Design estimate, not conformity evidence" in page and "compliant" not in page.lower().replace("plotly", "")
    for words in ("Forces and torques", "Stack: half section", "Radial build", "Sources of the requirements", "Fringe field in plan", "payload, 2"):
        assert words in page


def test_parts_with_currents_only():
    with pytest.raises(ValueError, match="must not be zero"):
        coupling.circuits([MAXWELL], [0.0])
    points, flow = coupling.elements(Assembly([Blocks(np.array([0.1]), np.array([0.2]), np.array([-0.1]), np.array([0.1]), np.array([1e6])), MAXWELL]))
    assert len(points) == len(flow) > 128


# --- limits of the whole ------------------------------------------------------------------------------------


def stand_in(folder, kind, name, figures, **more):
    """Result folder of a part that was never designed."""
    spec = {"kind": kind, "name": name} | more.pop("spec", {})
    write(Result(kind, name, "done", figures={n: Figure(v, "1", m) for n, (v, m) in figures.items()}, spec=spec, **more), folder, ())
    return str(folder)


def test_a_coil_that_a_shim_uses_asks_for_both_currents(tmp_path, finished):
    driven = stand_in(tmp_path / "z", "gradient", "z", {"operating_current": (50.0, "")}, source=MAXWELL)
    silent = stand_in(tmp_path / "x", "gradient", "x", {}, source=MAXWELL)
    coils = [{"arrangement": "designs", "folders": [driven]}, {"arrangement": "list", "loops": []}]
    left = {"current_share_max": (0.75, ""), "b0_std_shimmed": (4.0, "over 10 points; with 5 ideal harmonic terms")}
    shim = stand_in(tmp_path / "s", "shim", "s", left, source=loops(0.1, [0.0], [1.5]), audit={"largest_A": {"z": 3.0, "loop 1": 1.5}}, spec={"coils": coils})
    parts = {"magnet": scanner(finished)["parts"]["magnet"], "z": {"result": driven}, "x": {"result": silent}, "shim": {"result": shim}}
    amplifiers = [{"name": f"for {part}", "drives": part, "current": most} for part, most in (("z", "52 A"), ("x", "52 A"), ("shim", "2 A"))]
    bare = {"kind": "system", "name": "driven", "region": {"radius": "40 mm"}, "parts": parts, "amplifiers": amplifiers}
    whole = pipeline.run(bare, out=tmp_path / "out")
    assert whole.figures["shim_duty"].value == 0.75 and "ideal harmonic" in whole.figures["shim.shim_duty"].method
    rows = {row["quantity"]: (row["value"], row["status"]) for row in whole.requirements}
    assert rows["z.amplifier_current"] == (53.0, "MISSED") and rows["shim.amplifier_current"] == (1.5, "MET")
    assert rows["x.amplifier_current"][1] == "NOT EVALUATED"  # its result has no current


def test_an_rf_coil_designed_without_the_shield_about_it_is_outside_the_model(tmp_path, finished):
    rows = evaluate_requirements([{"quantity": "b1_efficiency", "op": ">=", "limit": 0.5}], {"b1_efficiency": Figure(1.0, "1", "")})
    coil = stand_in(tmp_path / "coil", "rf_coil", "coil", {"b1_efficiency": (1.0, "loops in free space")}, requirements=rows, spec={"field": "1.5 T"})
    spec = scanner(finished, rf_shield="screen")
    spec["parts"] = spec["parts"] | {"rf": {"result": coil}}
    whole = pipeline.run(spec, out=tmp_path / "out")
    row = next(r for r in whole.requirements if r["quantity"] == "rf.b1_efficiency")
    assert row["status"] == "OUTSIDE MODEL" and "try `shield`" in whole.figures["rf.b1_efficiency"].method


def test_a_magnet_whose_line_is_far_away_has_no_distance_of_it(finished, tmp_path):
    strong = stand_in(tmp_path / "strong", "magnet", "strong", {}, source=loops(3.0, [-1.5, 1.5], [3e7, 3e7]))
    spec = scanner(finished, requirements=[{"quantity": "cover_distance_0p5mT", "op": "<=", "limit": "50 m"}], prices=[])
    spec["parts"] = spec["parts"] | {"magnet": {"result": strong}}
    row = next(r for r in pipeline.run(spec, out=tmp_path / "out").requirements if r["quantity"] == "cover_distance_0p5mT")
    assert row["status"] == "NOT EVALUATED"


def test_current_crowds_to_one_side_of_a_thick_layer():
    from types import SimpleNamespace

    depth = lambda f: (17e-9 / (np.pi * f * 4e-7 * np.pi)) ** 0.5
    layer = SimpleNamespace(thickness=2e-3, resistivity=17e-9)
    assert system_eddies.crowding(layer, 1.0) == pytest.approx(1.0, abs=1e-6)
    assert system_eddies.crowding(layer, 1e6) == pytest.approx(2e-3 / depth(1e6), rel=1e-6)  # a skin on one side carries all


def test_a_trial_that_misses_what_the_first_kept_does_not_count(tmp_path):
    first, second = ({"coil": tmp_path / n} for n in ("a", "b"))
    for folders, ohm in ((first, 1.0), (second, 3.0)):
        rows = evaluate_requirements([{"quantity": "resistance", "op": "<=", "limit": 2.0}], {"resistance": Figure(ohm, "ohm", "")})
        stand_in(folders["coil"], "gradient", "z", {"resistance": (ohm, "")}, source=MAXWELL, requirements=rows)
    said, allowed = [], []
    assert system_joint.keeps(first, allowed, said.append) and not system_joint.keeps(second, allowed, said.append)
    assert "coil.resistance" in said[-1]
    assert system_joint.keeps(second, [], said.append)  # missed from the start
