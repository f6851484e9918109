"""The explorer without a browser: what its numbers are worth, and what its server refuses.

    trade-offs   the small dual system against the normal equations written out
    gradient     live fields, power and energy against the recipe's own quantities; limits kept; optimum from above
    shim         live currents are those of a design with these limits
    new spec     loads, and brings the sliders back to where they stood
    server       token, host, origin, size, names; a hostile folder is data
"""

import http.client
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import synthetic

from designtools import result as r
from designtools.explorer import Explorer, Unreadable, models, scene, tradeoff
from designtools.explorer import gradient as live_gradient
from designtools.explorer.design import opened
from designtools.explorer.level_lines import level_lines
from designtools.explorer.live import Knob, OutOfRange, checked
from designtools.formers.cylinder import Cylinder
from designtools.pipeline import run
from designtools.quantities.energy import stored_energy_residual
from designtools.recipes import gradient_problem
from designtools.solve import convex
from designtools.sources import Assembly, Dipoles
from designtools.spec import load, resolved
from designtools.units import MU_0

SPECS = Path(__file__).parents[1] / "specs"
COIL = {
    "kind": "gradient", "name": "small x", "region": {"radius": "60 mm"}, "target": {"gradient_axis": "x", "strength": "50 mT/m", "error": "6 %"},
    "primary": {"former": "cylinder", "radius": "120 mm", "length": "360 mm"}, "shield": {"radius": "170 mm", "length": "440 mm"},
    "stray": {"radius": "220 mm", "length": "500 mm", "limit": "60 uT"}, "conductor": {"width": "3 mm", "thickness": "4 mm", "spacing": "0.5 mm"},
    "winding": {"turns": 9}, "amplifier": {"current": "300 A", "voltage": "500 V"}, "mesh": {"resolution": "28 mm"},
    "requirements": [{"quantity": "linearity_error_max", "op": "<=", "limit": "6 %"}, {"quantity": "torque", "op": "<=", "limit": "1 N·m"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def coil():
    return models.prepared(resolved(load(COIL)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A result folder whose spec is that coil."""
    result = synthetic.gradient(spec=resolved(load(COIL)), name="small x")
    return r.write(result, tmp_path_factory.mktemp("explorer") / "design", formats=["csv"])


# --- trade-offs -------------------------------------------------------------------------------------------


def dense(diagonal, exact, value, blocks):
    """The same least squares by its full normal equations with multipliers for the exact rows."""
    matrix = np.diag(diagonal) + sum(w * m.T @ m for m, _, w in blocks)
    right = sum(w * m.T @ y for m, y, w in blocks)
    full = np.block([[matrix, exact.T], [exact, np.zeros((len(exact), len(exact)))]])
    return np.linalg.solve(full, np.concatenate([right, value]))[: len(diagonal)]


@pytest.mark.parametrize("stray_weight, soft", [(0.0, False), (3.0, False), (3.0, True)])
def test_the_small_system_is_the_large_one(stray_weight, soft):
    g = np.random.default_rng(1)
    n = 40
    diagonal, exact = 1 + g.random(n), g.normal(size=(1, n))
    field, stray, crowd = g.normal(size=(15, n)), g.normal(size=(12, n)), g.normal(size=(6, n))
    wanted, importance = g.normal(size=15), 0.2 + g.random(15)
    rows = tradeoff.reweighted(tradeoff.compressed(field, wanted), importance)
    held = tradeoff.Soft(crowd, np.arange(1.0, 7.0)) if soft else None
    system = tradeoff.dual(diagonal, exact, np.array([2.0]), rows, tradeoff.compressed(stray), held)
    z = tradeoff.coefficients(system, tradeoff.path(system, stray_weight), 7.0)
    root = np.sqrt(importance / importance.mean())[:, None]
    blocks = [(root * field, root[:, 0] * wanted, 7.0), (stray, np.zeros(12), stray_weight)]
    blocks += [(np.sqrt(np.arange(1.0, 7.0))[:, None] * crowd, np.zeros(6), 1.0)] if soft else []
    expected = dense(diagonal, exact, np.array([2.0]), blocks)
    assert np.allclose(z, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert np.allclose(rows.residual(z), field @ z - wanted, atol=1e-10)
    known = tradeoff.errors(tradeoff.path(system, stray_weight), rows, np.array([7.0]))[0]
    assert known == pytest.approx(np.abs(field @ expected - wanted).max(), rel=1e-8)


def test_both_forms_of_the_objective_become_diagonal():
    g = np.random.default_rng(2)
    root = [g.normal(size=(12, 9)) for _ in range(2)]
    power, energy = (m.T @ m for m in root)
    v, l = tradeoff.diagonalised(power, energy)
    assert np.allclose(v.T @ power @ v, np.eye(9), atol=1e-9)
    assert np.allclose(v.T @ energy @ v, np.diag(l), atol=1e-8 * l.max())


def test_level_lines_of_a_height_are_rings():
    former = Cylinder(radius=0.1, length=0.4)
    mesh = former.mesh(0.02)
    turned = np.random.default_rng(1).integers(0, 3, len(mesh.faces))  # whichever corner a face begins with, and either way round
    faces = np.take_along_axis(mesh.faces, (np.arange(3) + turned[:, None]) % 3, axis=1)
    faces[::2] = faces[::2, ::-1]
    lines = level_lines(mesh.vertices, faces, mesh.vertices[:, 2], [-0.05, 0.031])
    rings = np.split(lines, np.flatnonzero(np.isnan(lines[:, 0])))
    assert len(rings) == 2
    for ring, height in zip(rings, (-0.05, 0.031)):
        points = ring[~np.isnan(ring[:, 0])]
        assert np.allclose(points[:, 2], height, atol=1e-12) and np.allclose(points[0], points[-1])
        length = np.linalg.norm(np.diff(points, axis=0), axis=1).sum()
        assert length == pytest.approx(2 * np.pi * 0.1, rel=0.02)
    assert level_lines(mesh.vertices, mesh.faces, mesh.vertices[:, 2], [1.0]).shape == (0, 3)


# --- gradient ---------------------------------------------------------------------------------------------


def state_of(live, **changes):
    return checked(live.knobs, {key.replace("__", "."): value for key, value in changes.items()})


def test_live_numbers_are_those_of_the_sheet(coil):
    """Field, stray field, power and energy of the state, found again from the sheet by the recipe's quantities."""
    live, spec = coil
    state = state_of(live, objective__stored_energy=0.3)
    found, answer = live_gradient.found_at(live, state), live.answer(state)
    design = live_gradient.design_at(live, found.z)
    field = np.asarray(design.field(live.setting.target.points)) @ live.setting.b0
    error = np.abs(field - spec.target.strength * live.setting.distance(live.setting.target.points)).max() / (spec.target.strength * live.setting.reach)
    assert answer.figures["linearity_error_max"].value == pytest.approx(error, rel=1e-6)
    stray = np.linalg.norm(np.asarray(design.field(live.setting.stray.points)), axis=1).max()
    assert answer.figures["stray_field_max"].value == pytest.approx(stray, rel=1e-5)
    terms = gradient_problem.problem(live.setting).minimise
    power = sum(float(np.sum(np.asarray(t.quantity.of(design)) ** 2)) for t in terms)
    assert live_gradient.sheet_power(found) == pytest.approx(power, rel=1e-9)
    residual = stored_energy_residual([gradient_problem.sheet_model(l) for l in live.setting.layers])[0]
    energy = float(np.sum(np.asarray(residual.of(design)) ** 2))
    assert answer.figures["stored_energy"].value == pytest.approx(energy, rel=1e-8)


def test_the_live_answer_keeps_the_limits_and_lies_just_above_the_optimum(coil, record_property):
    live, spec = coil
    found = live_gradient.found_at(live, state_of(live))
    assert found.solved.error <= found.allowed * (1 + 1e-9)
    assert live_gradient._stray_norms(live.views.stray, found.z).max() <= spec.stray.limit
    cap = found.current / (spec.conductor.width + spec.conductor.spacing)
    assert found.density.max() <= 1.02 * cap
    optimum = convex.solve(gradient_problem.problem(live.setting, None), matrices=live.matrices)
    ratio = live_gradient.sheet_power(found) / sum(optimum.terms.values())
    record_property("live_power_over_optimum", ratio)
    assert 1 - 1e-4 <= ratio < 1.06


def test_at_rest_the_recipe_itself_answers(coil):
    """The exact answer keeps every limit at less power, and says what to relax where there is none."""
    live, spec = coil
    state = state_of(live, conductor__spacing=0.7e-3)
    exact, quick = live.exact(state).figures, live.answer(state).figures
    assert exact["optimality_gap"].value < 1e-5 and "exact" in exact["efficiency"].method
    assert exact["wire_spacing_min"].value > 0.99 * (spec.conductor.width + 0.7e-3)
    assert exact["linearity_error_max"].value <= spec.target.error and exact["stray_field_max"].value <= spec.stray.limit
    assert exact["efficiency"].value == pytest.approx(quick["efficiency"].value, rel=0.1)
    impossible = live.exact(state_of(live, winding__turns=18, conductor__spacing=3e-3))
    assert any("tracks lie closer" in note for note in impossible.notes) and "lower winding.turns" in impossible.notes[-1]


def test_sliders_trade_one_thing_for_another(coil):
    live, _ = coil
    power = lambda **changes: live_gradient.sheet_power(live_gradient.found_at(live, state_of(live, **changes)))
    assert power(target__error=0.03) > 1.03 * power() > 1.03 * power(target__error=0.12)
    assert power(stray__limit=1e-5) > 1.02 * power()
    close, apart = (live.answer(state_of(live, conductor__spacing=gap)) for gap in (0.0, 1.5e-3))
    assert apart.figures["wire_spacing_min"].value > 1.2 * close.figures["wire_spacing_min"].value
    few, many = (live.answer(state_of(live, winding__turns=n)).figures for n in (4, 8))
    assert many["operating_current"].value == pytest.approx(few["operating_current"].value / 2, rel=0.02)
    assert many["inductance"].value == pytest.approx(4 * few["inductance"].value, rel=0.05)
    rings = [sum(np.isnan(c.points[:, 0]).sum() + 1 for c in live.answer(state_of(live, winding__turns=n)).curves) for n in (4, 8)]
    assert rings[1] == pytest.approx(2 * rings[0], rel=0.3)


def test_what_cannot_be_had_is_said(coil):
    live, _ = coil
    assert any("tracks lie closer" in note for note in live.answer(state_of(live, winding__turns=18, conductor__spacing=3e-3)).notes)
    assert live.answer(state_of(live)).notes == ()
    assert "Not held here" not in live.limits
    data = COIL | {"limits": {"torque": "5 N·m"}, "magnet": {"flux_density": "3 T"}}
    assert "Not held here: limits.torque." in live._replace(setting=live_gradient.gradient_setting.prepare(load(data))).limits


def test_a_two_thousand_vertex_coil_answers_within_300_ms(record_property):
    data = {k: v for k, v in COIL.items() if k not in ("shield", "stray")} | {"mesh": {"resolution": "12.5 mm"}}
    live, _ = models.prepared(resolved(load(data)))
    vertices = sum(len(l.mesh.vertices) for l in live.setting.layers)
    assert 1900 <= vertices <= 2300
    times = []
    for error in (0.05, 0.055, 0.065, 0.07, 0.08):
        began = time.perf_counter()
        live.answer(state_of(live, target__error=error))
        times.append(time.perf_counter() - began)
    record_property("seconds", times)
    assert min(times) < 0.3  # a tenth of that on an idle core


def test_a_saved_spec_brings_the_sliders_back(coil):
    live, model = coil
    state = state_of(live, target__error=0.043, stray__limit=3.3e-5, conductor__spacing=1.2e-3, objective__stored_energy=0.25, winding__turns=11)
    data = models.changed_spec(live, model, state)
    again = load(data)
    assert {k.key: k.value for k in live_gradient._knobs(again)} == pytest.approx(state)
    assert again.name == "small x, explored" and again.objective.power == 0.75


@pytest.mark.parametrize(
    "state, words",
    [({"target.error": 99.0}, "target.error must lie between"), ({"target.error": "6 %"}, "must lie"), ({"name": 1}, "must be values of"), ([], "must be values of"),
     ({"target.error": float("nan")}, "must lie"), ({"target.error": True}, "must lie")],
)  # fmt: skip
def test_states_that_no_slider_has_are_refused(coil, state, words):
    with pytest.raises(OutOfRange, match=words):
        checked(coil[0].knobs, state)


def test_knobs_write_what_a_spec_reads():
    assert Knob("a", "a", "length", 0, 1, 0.5).written(0.0123) == "12.3 mm"
    assert Knob("a", "a", "", 0, 9, 5, "whole").written(6.0) == 6


# --- other kinds ------------------------------------------------------------------------------------------


def test_a_live_shim_is_the_recipes_own():
    live, model = models.prepared(resolved(load(SPECS / "brain_shim.yaml")))
    state = checked(live.knobs, {"limits.current": 0.8, "limits.total_current": 5.0})
    answer = live.answer(state)
    designed = run(models.changed_spec(live, model, state))
    for name in ("b0_std_shimmed", "current_max", "current_total", "power"):
        assert answer.figures[name].value == pytest.approx(designed.figures[name].value, rel=1e-6)
    assert set(answer.plots) == {"histogram", "slice"}


def test_kinds_without_sliders_say_so():
    with pytest.raises(models.NoSliders, match="designtools sweep"):
        models.prepared(resolved(load(SPECS / "six_coil_magnet.yaml")))


def test_the_surface_of_half_a_millitesla_of_a_dipole():
    moment = 40.0
    source = Assembly([Dipoles(centre=[[0.0, 0.0, 0.0]], dipole_moment=[[0.0, 0.0, moment]])])
    way = np.array([[0, 0, 1.0], [1.0, 0, 0], [0, -1.0, 0]])
    axial = (MU_0 * moment / (2 * np.pi * scene.FIVE_GAUSS)) ** (1 / 3)
    found = scene.outermost(source, way, 0.1)
    assert found == pytest.approx(np.array([axial, axial / 2 ** (1 / 3), axial / 2 ** (1 / 3)]), rel=2e-3)
    weak = Assembly([Dipoles(centre=[[0.0, 0.0, 0.0]], dipole_moment=[[0.0, 0.0, 1e-6]])])
    assert np.isnan(scene.outermost(weak, way, 0.1)).all()


# --- server -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    with Explorer(folder, save_to=tmp_path_factory.mktemp("saved") / "specs") as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server, place="", method="GET", body=None, path=None, **headers):
    """Status, headers and text of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    path = f"/{server.token}/{place}" if path is None else path
    connection.putrequest(method, path, skip_host=True)
    known = {"Host": f"127.0.0.1:{server.server_address[1]}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    known |= {} if body is None else {"Content-Length": str(len(data))} | ({} if "Content-Type" in known else {"Content-Type": "application/json"})
    for name, value in known.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def ready(server) -> dict:
    while not (live := json.loads(ask(server, "live")[2]))["ready"]:
        time.sleep(0.05)
    return live


def test_it_listens_on_the_loopback_only(server):
    assert server.server_address[0] == "127.0.0.1" and server.address.startswith("http://127.0.0.1:")
    assert len(server.token) >= 32


def test_the_page_and_its_parts_are_served_under_a_strict_policy(server):
    status, headers, text = ask(server)
    assert status == 200 and "<title>designtools explorer</title>" in text and "http" not in text.lower().replace("http-equiv", "")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe-eval" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers
    for place, kind in (("plotly.js", "text/javascript"), ("explorer.js", "text/javascript"), ("explorer.css", "text/css"), ("report", "text/html"), ("design", "application/json")):
        status, headers, text = ask(server, place)
        assert status == 200 and headers["Content-Type"].startswith(kind) and text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", ""])
def test_other_names_for_this_machine_are_refused(server, host):
    status, _, text = ask(server, Host=host.format(port=server.server_address[1]))
    assert status == 403 and "own name" in text


@pytest.mark.parametrize("path", ["/", "/report.html", "/result.json", "//", "/x" * 40 + "/design", "/design", "*"])
def test_nothing_without_the_token(server, path):
    status, _, text = ask(server, path=path)
    assert status == 403 and "error" in json.loads(text)


@pytest.mark.parametrize(
    "place", ["../", "..%2f..%2fetc/passwd", "/etc/passwd", "report.html", "result.json", "spec.yaml", "server.py", "./explorer.js", "explorer.js/..", "%2e%2e/design", "begin", "__class__", "_yaml"]
)  # fmt: skip
def test_only_the_names_of_the_table_are_answered(server, place):
    assert ask(server, place)[0] == 404
    assert ask(server, place, "POST", {})[0] == 404


@pytest.mark.parametrize(
    "headers, body, status",
    [({"Origin": "http://evil.example"}, {}, 403), ({"Origin": "null"}, {}, 403), ({"Content-Type": "text/plain"}, {}, 415), ({}, b"{", 400), ({}, b"[]", 400),
     ({}, b" " * 70_000, 413), ({}, {"state": {"name": 1}}, 400), ({}, {"state": {"target.error": 1e9}}, 400)],
)  # fmt: skip
def test_bad_questions_are_refused(server, headers, body, status):
    ready(server)
    found, _, text = ask(server, "turn", "POST", body, **headers)
    assert found == status and json.loads(text)["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_known(server, method):
    assert ask(server, "design", method)[0] == 501


def test_turning_gives_figures_rows_plots_and_traces(server):
    live = ready(server)
    assert [k["key"] for k in live["knobs"]] == ["target.error", "stray.limit", "conductor.spacing", "objective.stored_energy", "winding.turns"]
    answer = json.loads(ask(server, "turn", "POST", {"state": {"target.error": 0.05}})[2])
    rows = {row["name"]: row for row in answer["requirements"]}
    assert rows["linearity error max"]["status"] == "MET" and rows["torque"]["status"] == "NOT EVALUATED"
    assert answer["values"]["target.error"] == "5 %"
    assert {"tradeoff", "profile", "plane", "stray"} == set(answer["plots"])
    assert [t["name"] for t in answer["traces"]][:2] == ["primary", "shield"]


def test_specs_are_written_into_the_named_folder_and_nowhere_else(server, tmp_path):
    ready(server)
    text = json.loads(ask(server, "spec", "POST", {"state": {"winding.turns": 9}})[2])["yaml"]
    path = tmp_path / "new.yaml"
    path.write_text(text)
    assert load(path).winding.turns == 9
    folder = server.session.save_to
    before = set(folder.parent.rglob("*"))
    for name in ("../../out", "/tmp/out", "a/b", "x.yaml", "x.yaml"):
        saved = json.loads(ask(server, "save", "POST", {"state": {"winding.turns": 9}, "name": name})[2])["path"]
        assert load(saved).winding.turns == 9 and str(folder) == saved.rpartition("/")[0]
    new = set(folder.parent.rglob("*")) - before - {folder}
    assert len(new) == 5 and all(p.parent == folder for p in new)
    for name in ("", "...", 7, None, "\0"):
        assert ask(server, "save", "POST", {"state": {}, "name": name})[0] == 400


def test_without_a_folder_nothing_is_written(folder, tmp_path):
    from designtools.explorer.session import Refused, Session

    session = Session(folder)
    with pytest.raises(Refused, match="--save-to"):
        session.save({"name": "x"})


# --- folders of strangers -----------------------------------------------------------------------------------


def hostile(tmp_path, **changes):
    """A design full of markup, with a page of its own that wants to run."""
    evil = synthetic.HOSTILE
    result = synthetic.gradient(
        evil, message=evil, spec=resolved(load(COIL | {"name": evil})), figures={evil: r.Figure(1.0, "T", evil)},
        requirements=[{"quantity": evil, "op": "<=", "limit": 1.0, "value": 1.0, "margin": 0.0, "status": evil}],
    )  # fmt: skip
    place = r.write(result, tmp_path / "design", formats=["csv"])
    (place / "report.html").write_text("<script>document.title='ran'</script>")
    record = json.loads((place / "result.json").read_text()) | changes
    (place / "result.json").write_text(json.dumps(record))
    return place


def test_a_hostile_design_is_text(tmp_path):
    from designtools.explorer.session import Session

    session = Session(hostile(tmp_path))
    assert session.design()["name"] == synthetic.HOSTILE
    page = session.report()
    assert "document.title='ran'" not in page and "<script>alert" not in page
    names = [t["name"] for t in session.design()["scene"]["data"]]
    assert names and not any("<" in name for name in names)


@pytest.mark.parametrize(
    "geometry",
    [{"windings": ["../../../etc/passwd"]}, {"source": [{"file": "/etc/passwd"}]}, {"sheets": {"x": "..\\x"}}, {"formers": {"x": {"type": "mesh.np"}}},
     {"formers": {"x": {"type": "cylinder.dataclass"}}}, {"formers": {"x": {"type": "os.system"}}}, {"windings": [{}]}, []],
)  # fmt: skip
def test_a_manifest_that_leads_elsewhere_shows_no_geometry(tmp_path, geometry):
    found = opened(hostile(tmp_path, geometry=geometry))
    assert found.source is None and "geometry could not be read" in found.message


def test_a_spec_with_tags_builds_nothing(tmp_path):
    place = hostile(tmp_path)
    (place / "spec.yaml").write_text("kind: !!python/object/apply:os.system ['touch /tmp/ran-by-a-spec']\n")
    assert opened(place).spec == {} or "could not be read" in opened(place).message


@pytest.mark.parametrize("text", ["", "[]", "{", '{"figures": {"a": {"value": "<b>", "unit": "", "method": ""}}, "requirements": []}', "[" * 5000])
def test_a_broken_record_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(Unreadable, match="sound result.json"):
        Explorer(tmp_path)


# --- in a notebook ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [synthetic.gradient, synthetic.shim])
def test_results_and_designs_render_themselves(make):
    from html.parser import HTMLParser

    from designtools.problem import Design

    result = make(synthetic.HOSTILE, message=synthetic.HOSTILE) if make is synthetic.gradient else make(synthetic.HOSTILE)
    for text in (result._repr_html_(), Design({synthetic.HOSTILE: result.source})._repr_html_()):
        tags = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attributes, tags=tags: tags.append(tag)
        parser.feed(text)
        assert "table" in tags and "script" not in tags
    assert result._repr_html_().count("<path") >= 1


# --- drives -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_live_drive_is_the_recipes_own_and_can_be_saved():
    data = resolved(load(SPECS / "rf_shim_7T.yaml", {"phantom.voxel": "20 mm", "target.starts": 1}))
    live, model = models.prepared(data)
    start = checked(live.knobs, {})
    state = checked(live.knobs, {"target.currents.2.phase": 0.5, "target.currents.3.magnitude": 0.7 * start["target.currents.3.magnitude"]})
    answer = live.answer(state)
    assert answer.figures["b1_uniformity"].value != live.answer(start).figures["b1_uniformity"].value
    saved = models.changed_spec(live, model, state)
    assert len(saved["target"]["currents"]) == live.setting.channels
    designed = run(saved)
    for name in ("b1_uniformity", "b1_efficiency", "sar_10g_max", "sar_head"):
        assert answer.figures[name].value == pytest.approx(designed.figures[name].value, rel=1e-4)
    louder = live.answer({k: (v * 2 if k.endswith("magnitude") else v) for k, v in start.items()})
    assert louder.figures["sar_10g_max"].value == pytest.approx(4 * live.answer(start).figures["sar_10g_max"].value, rel=1e-9)
    assert any("is exceeded" in note for note in live.answer({k: (v * 30 if k.endswith("magnitude") else v) for k, v in start.items()}).notes)
