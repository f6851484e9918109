"""Specs: what is accepted, every kind of mistake in words with its place, and the way back to text."""

import copy
import json
import math
import re
from pathlib import Path

import pytest

from designtools.spec import (
    KINDS,
    LATER,
    SpecError,
    fingerprint,
    json_schema,
    load,
    resolved,
    to_yaml,
    write_json_schemas,
)
from designtools.starters import starter

SPECS = Path(__file__).parent.parent / "specs"
FILES = {
    "gradient": SPECS / "head_gradient_x.yaml", "magnet": SPECS / "six_coil_magnet.yaml", "halbach": SPECS / "halbach_head.yaml",
    "shim": SPECS / "brain_shim.yaml", "camera": SPECS / "head_camera.yaml", "rf_coil": SPECS / "rf_birdcage_3T.yaml", "rf_shim": SPECS / "rf_shim_7T.yaml",
    "system": SPECS / "scanner_50mT_head.yaml",
}  # fmt: skip

GRADIENT = {
    "kind": "gradient",
    "name": "test",
    "region": {"radius": "100 mm"},
    "target": {"gradient_axis": "x", "strength": "80 mT/m"},
    "primary": {"radius": "190 mm", "length": "560 mm"},
    "conductor": {"width": "5 mm", "thickness": "4 mm"},
    "winding": {"turns": 16},
}


def mistakes(source, **overrides) -> list[str]:
    with pytest.raises(SpecError) as refusal:
        load(source, {key.replace("__", "."): value for key, value in overrides.items()})
    assert str(refusal.value) == "\n".join(map(str, refusal.value.problems))
    return str(refusal.value).splitlines()


def only(source, **overrides) -> str:
    (line,) = mistakes(source, **overrides)
    return line


# --- accepted --------------------------------------------------------------------------------------------


def test_every_kind_has_a_runnable_spec():
    assert set(FILES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_resolved_spec_loads_back_to_the_same_model(kind, tmp_path):
    model = load(FILES[kind])
    assert model.kind == kind
    assert load(resolved(model)) == model
    (tmp_path / "spec.yaml").write_text(to_yaml(model), encoding="utf-8")
    again = load(tmp_path / "spec.yaml")
    assert again == model
    assert fingerprint(again) == fingerprint(model)


def test_values_are_si_and_defaults_are_validated():
    model = load(GRADIENT)
    assert model.region.radius == 0.1
    assert model.target.error == 0.05
    assert model.conductor.temperature == 293.15
    assert model.conductor.spacing == 1e-3
    assert model.frame.b0_axis == (0, 0, 1)
    assert model.shield is None and not model.shielded


def test_models_are_frozen():
    model = load(GRADIENT)
    with pytest.raises(ValueError, match="frozen"):
        model.primary.radius = 1.0


def test_toml_says_the_same_as_yaml(tmp_path):
    (tmp_path / "a.toml").write_text(
        'kind = "gradient"\nname = "test"\nwinding.turns = 16\n[region]\nradius = "100 mm"\n'
        '[target]\ngradient_axis = "x"\nstrength = "80 mT/m"\n[primary]\nradius = 0.19\nlength = 0.56\n'
        '[conductor]\nwidth = "5 mm"\nthickness = "4 mm"\n'
    )
    assert load(tmp_path / "a.toml") == load(GRADIENT)


def test_frame_takes_vectors_and_keeps_them_to_the_last_bit():
    model = load(GRADIENT | {"frame": {"b0_axis": [1, 2, 2], "bore_axis": "-y"}})
    assert model.frame.b0_axis == (1 / 3, 2 / 3, 2 / 3)
    assert model.frame.bore_axis == (0, -1, 0)
    assert load(resolved(model)) == model


def test_resistivity_rises_with_temperature():
    warm = load(GRADIENT, {"conductor.temperature": "70 degC"}).conductor.effective_resistivity
    assert warm == pytest.approx(1.7241e-8 * (1 + 3.93e-3 * 50), rel=1e-12)
    assert load(GRADIENT, {"conductor.resistivity": "2 uohm cm"}).conductor.effective_resistivity == 2e-8


def test_requirement_limit_is_read_in_the_unit_of_its_figure():
    row = {"quantity": "homogeneity_pp", "op": "<=", "limit": "20 ppm"}
    (requirement,) = load(GRADIENT | {"requirements": [row]}).requirements
    assert requirement.limit == 20e-6
    assert requirement.holds(20e-6) and not requirement.holds(21e-6)


@pytest.mark.parametrize("op, below, at, above", [("<=", 1, 1, 0), ("<", 1, 0, 0), (">=", 0, 1, 1), (">", 0, 0, 1)])
def test_requirement_operators(op, below, at, above):
    row = {"quantity": "wire_length", "op": op, "limit": "2 m"}
    (r,) = load(GRADIENT | {"requirements": [row]}).requirements
    assert [r.holds(1.0), r.holds(2.0), r.holds(3.0)] == [bool(below), bool(at), bool(above)]


def test_region_extent_of_an_ellipsoid():
    region = {"shape": "ellipsoid", "semi_axes": ["100 mm", "80 mm", "60 mm"]}
    model = load(GRADIENT | {"region": region})
    assert model.region.extent((0, 0, 1)) == pytest.approx(0.06)
    diagonal = model.region.extent((math.sqrt(0.5), math.sqrt(0.5), 0))
    assert diagonal == pytest.approx(math.sqrt((0.1**2 + 0.08**2) / 2))


def test_region_is_given_by_the_size_of_its_shape():
    found = mistakes(GRADIENT | {"region": {"shape": "ellipsoid", "radius": "100 mm"}})
    assert found[0].startswith("region.semi_axes: must be given for shape ellipsoid")
    assert found[1].startswith("region.radius: must be left out for shape ellipsoid")


# --- overrides -------------------------------------------------------------------------------------------


def test_overrides_reach_sections_lists_and_missing_sections():
    model = load(FILES["gradient"], {"shield.enabled": False, "region.radius": "90 mm", "mesh.resolution": 0.02})
    assert not model.shielded and model.region.radius == 0.09 and model.mesh.resolution == 0.02
    magnet = load(FILES["magnet"], {"coils.1.radius.max": "260 mm"})
    assert magnet.coils[1].radius.max == 0.26


def test_text_overrides_are_read_as_in_yaml():
    model = load(FILES["gradient"], {"shield.enabled": "false", "winding.turns": "12", "amplifier": "null"})
    assert model.shield.enabled is False and model.winding.turns == 12 and model.amplifier is None


def test_overrides_leave_the_source_alone():
    source = copy.deepcopy(GRADIENT)
    load(source, {"region.radius": "50 mm"})
    assert source == GRADIENT


def test_override_mistakes_name_the_override():
    assert only(FILES["gradient"], shield__radius="3 mT").startswith("--set: shield.radius: must be a length")
    assert "a single value" in only(FILES["gradient"], name__x__y="1")
    assert "must end at a key" in only(FILES["gradient"], name__x="1")
    assert "item 0 to 2" in only(FILES["magnet"], coils__7__radius="200 mm")


# --- refused in words ------------------------------------------------------------------------------------


def test_all_mistakes_come_at_once_with_file_and_line(tmp_path):
    text = starter("gradient")
    changes = {r"(strength: .*) mT/m": r"\1 mT", r"(primary:(?:\n  .*)*)\n  length: .*": r"\1", "spacing:": "spaceing:", "joined: true": "joined: perhaps"}
    for old, new in changes.items():
        text, count = re.subn(old, new, text)
        assert count == 1
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    line = {word: 1 + text[: text.index(word)].count("\n") for word in ("strength:", "primary:", "spaceing:", "joined:")}
    found = mistakes(path)
    assert len(found) == 4
    assert found[0].startswith(f"{path}:{line['strength:']}: target.strength: must be a field gradient")
    assert found[1].startswith(f"{path}:{line['primary:']}: primary.length: must be given for former cylinder, got nothing; try `length: 600 mm`")
    assert found[2].startswith(f"{path}:{line['spaceing:']}: conductor.spaceing: must be a known key in conductor")
    assert "did you mean 'spacing'" in found[2]
    assert found[3].startswith(f"{path}:{line['joined:']}: winding.joined: must be true or false, got 'perhaps'")


def test_toml_mistakes_have_lines_too(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('kind = "magnet"\nname = "m"\n[field]\nfloor = "3 mm"\n[region]\nradius = "5 cm"\n[section]\n'
                    'width = 0.03\nheight = 0.03\n[[coils]]\nradius = "20 cm"\nposition = "5 cm"\ncurrent = "1 kA"\n'
                    '[[coils]]\nradius = "20 cm"\nposition = "12 mT"\ncurrent = "1 kA"\n')  # fmt: skip
    found = mistakes(path)
    assert found[0].startswith(f"{path}:4: field.floor: must be a flux density")
    assert found[1].startswith(f"{path}:16: coils.1.position")


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("kind: gradient\nname: [a\nb: 2\n", 3, "must be valid YAML"),
        ("kind: gradient\nkind: magnet\n", 2, "duplicate key"),
        ("kind: gradient\n\tname: a\n", 2, "must be valid YAML"),
    ],
)
def test_bad_yaml_names_the_line(tmp_path, text, line, words):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    message = only(path)
    assert message.startswith(f"{path}:{line}: ") and words in message


def test_bad_toml_names_the_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('kind = "gradient"\nname = \n')
    assert only(path).startswith(f"{path}:2: must be valid TOML")


@pytest.mark.parametrize("text", ["", "just words\n", "- 1\n- 2\n"])
def test_a_spec_must_be_a_table(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert "must be a table of keys" in only(path)


def test_missing_file_and_folder(tmp_path):
    assert "must be an existing spec file" in only(tmp_path / "nope.yaml")
    assert "must be a spec file, got a folder" in only(tmp_path)


HEAD = "kind: gradient\nname: a\n"
SECTIONS = """
region: {radius: 80 mm}
target: {gradient_axis: x, strength: 30 mT/m}
primary: {radius: 190 mm, length: 560 mm}
conductor: {width: 4 mm, thickness: 4 mm}
winding: {turns: 6}
"""
GOOD = HEAD + SECTIONS
NINES = "9" * 5000  # more digits than Python turns into a number


@pytest.mark.parametrize(
    "content, place, words",
    [
        (GOOD.replace("80 mm", ".nan"), "4: region.radius", "got nan, which is not a finite number"),
        (GOOD.replace("80 mm", "-.inf"), "4: region.radius", "not a finite number"),
        (GOOD.replace("80 mm", "nan mm"), "4: region.radius", "does not start with a number"),
        (GOOD.replace("80 mm", NINES), "", "must be readable"),
        (GOOD.replace("turns: 6", "turns: 1" + "0" * 300), "8: winding.turns", "must be at most 1000"),
        (GOOD.replace("80 mm", "true"), "4: region.radius", "got True"),
        (GOOD.replace("80 mm", "{mm: 80}"), "4: region.radius", "got {'mm': 80}"),
        (GOOD.replace("{radius: 80 mm}", ""), "4: region", "must be a section of keys, got nothing"),
        (GOOD.replace("80 mm", "0,08 m"), "4: region.radius", "must be greater than 0 m"),
        (GOOD.replace("80 mm", "80"), "4: region.radius", "reaches 80000 mm"),
        (GOOD + "3: 4\n", "9: 3", "must be a known key at the top, got '3'"),
        (GOOD + "? [a, b]\n: 3\n", "9: ('a', 'b')", "must be a known key"),
        (GOOD + "gr\u00f6\u00dfe: 3\n", "9: gr\u00f6\u00dfe", "must be a known key"),
        (GOOD + "name: again\n", "9: ", 'duplicate key "name"'),
        (GOOD + "shield:\n\tradius: 3\n", "10: ", "found character '\\t'"),
        (GOOD + "---\n" + GOOD, "9: ", "found another document"),
        (GOOD.replace("name: a", "name: !!python/object:os.system x"), "2: ", "must be a plain value, got the tag"),
        (GOOD.replace("name: a", "name: a\0b"), "1: ", "must be valid YAML"),
        (GOOD.replace("80 mm", "80 mT").replace("\n", "\r\n"), "4: region.radius", "must be a length"),
        ("\ufeff" + GOOD.replace("80 mm", "80 mT"), "4: region.radius", "must be a length"),
        (GOOD.encode("utf-16"), "", "must be text in UTF-8, got the byte 0xff in place 0"),
        (GOOD.replace("name: a", "name: gr\u00f6\u00dfe").encode("latin-1"), "", "must be text in UTF-8"),
        (HEAD + "a: " + "[" * 60 + "]" * 60, "", "must not be nested deeper than 30 levels"),
        (HEAD + "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
            f"{new}: &{new} [{','.join(['*' + old] * 10)}]\n" for old, new in zip("abcdef", "bcdefg")), "1: ", "at most 20000 values"),
        (HEAD + "a: *nowhere\n", "3: ", "undefined alias"),
        ("# nothing but words\n", "", "must be a table of keys such as `kind: gradient`, got nothing"),
        (GOOD + "audit: {seed: 99999999999999999999}\n", "9: audit.seed", "must be less than"),
        (GOOD + "mesh: {resolution: 0.01 mm}\n", "9: mesh.resolution", "must be at least 2.7"),
        (GOOD + "mesh: {resolution: 1 m}\n", "9: mesh.resolution", "at most half the radius of the primary = 95 mm"),
        (GOOD + "requirements: {quantity: efficiency}\n", "9: requirements", "must be a list"),
        (GOOD.replace("x, strength", "[.nan, 0, 1], strength"), "5: target.gradient_axis", "a vector with a direction"),
    ],
)  # fmt: skip
def test_nasty_files_get_one_sentence(tmp_path, content, place, words):
    path = tmp_path / "nasty.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    line = mistakes(path)[0]
    assert line.startswith(f"{path}:{place}" if place else f"{path}: ") and words in line
    assert len(line) < 500 and "Traceback" not in line


@pytest.mark.parametrize("mark, end", [("\ufeff", "\n"), ("", "\r\n")])
def test_marks_and_line_ends_of_other_editors_are_fine(tmp_path, mark, end):
    path = tmp_path / "spec.yaml"
    path.write_bytes((mark + GOOD.replace("\n", end)).encode())
    assert load(path).region.radius == 0.08


def test_merged_sections_name_the_line_of_the_merge(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD + "stray: &far {radius: 0.3, length: 1, limit: 1 mT}\nshield:\n  <<: *far\n")
    assert only(path).startswith(f"{path}:11: shield.limit: must be a known key in shield")


@pytest.mark.parametrize("kind", LATER)
def test_kinds_to_come_say_so(kind):
    assert only({"kind": kind, "name": "a"}) == f"kind: {kind!r} is not yet available in this version; available: {', '.join(KINDS)}"


def test_unknown_and_missing_kind():
    assert "did you mean 'gradient'" in only({"kind": "gradiant", "name": "a"})
    assert "must be given, got nothing" in only({"name": "a"})
    assert "got 3" in only({"kind": 3, "name": "a"})


@pytest.mark.parametrize(
    "changes, key, words",
    [
        ({"name": ""}, "name", "must be a text that is not empty, got ''"),
        ({"name": 5}, "name", "must be a text, got 5"),
        ({"version": 2}, "version", "must be 1, got 2"),
        ({"colour": "red"}, "colour", "must be a known key at the top"),
        ({"target": 5}, "target", "must be a section of keys, got 5"),
        ({"requirements": "none"}, "requirements", "must be a list, got 'none'"),
        ({"frame.b0_axis": "w"}, "frame.b0_axis", "must be x, y, z"),
        ({"frame.b0_axis": [0, 0, 0]}, "frame.b0_axis", "a vector with a direction"),
        ({"frame.b0_axis": [0, 1]}, "frame.b0_axis", "or three numbers"),
        ({"target.strength": "-80 mT/m"}, "target.strength", "must be greater than 0 T/m, got '-80 mT/m'"),
        ({"conductor.material": "gold"}, "conductor.material", "must be copper or aluminium, got 'gold'"),
        ({"conductor.temperature": "-300 degC"}, "conductor.temperature", "must be greater than 0 K"),
        ({"conductor.temperature": "4 K"}, "conductor.temperature", "give `resistivity`"),
        ({"winding.turns": 2.5}, "winding.turns", "must be a whole number, got 2.5"),
        ({"winding.turns": 0}, "winding.turns", "must be greater than 0, got 0"),
        ({"winding.turns": None}, "winding.turns", "got neither"),
        ({"winding.current": "500 A"}, "winding.turns", "got both"),
        ({"objective.power": 0}, "objective.power", "must be positive"),
        ({"objective.power": -1}, "objective.power", "must be at least 0"),
        ({"region.centre": ["0 mm", "0 mm"]}, "region.centre.2", "must be given"),
        ({"region.shape": "cube"}, "region.shape", "must be ball or ellipsoid, got 'cube'"),
        ({"limits.torque": "5 N·m"}, "limits.torque", "must come with `magnet`"),
        ({"stray": {"radius": "150 mm", "length": "1 m", "limit": "5 gauss"}}, "stray.radius", "must lie outside the primary"),
        ({"shield": {"radius": "150 mm", "length": "1 m"}}, "shield.radius", "must exceed primary.radius"),
        ({"conductor.width": "400 mm"}, "conductor.width", "the room one lobe has on the primary"),
        ({"former": {"thickness": "5 mm", "groove_depth": "6 mm"}}, "former.groove_depth", "must be less than thickness"),
        ({"former": {"thickness": "5 mm", "groove_depth": "2 mm"}}, "former.groove_depth", "at least conductor.thickness"),
        ({"requirements": [{"quantity": "efficency", "op": "<", "limit": 1}]}, "requirements.0.quantity", "did you mean 'efficiency'"),
        ({"requirements": [{"quantity": "efficiency", "op": "=", "limit": 1}]}, "requirements.0.op", "must be <=, <, >= or >"),
        ({"requirements": [{"quantity": "efficiency", "op": ">", "limit": "1 T"}]}, "requirements.0.limit", "it is the limit of efficiency"),
        ({"requirements": [{"quantity": "efficiency", "op": ">"}]}, "requirements.0.limit", "must be given"),
        ({"region.centre": ["0 mm", "0 mm", "200 mm"]}, "region.radius", "inside the length of the primary"),
        ({"region.centre": ["95 mm", "0 mm", "0 mm"]}, "region.radius", "reaches 195 mm from the bore axis"),
    ],
)  # fmt: skip
def test_gradient_mistakes(changes, key, words):
    message = only(GRADIENT, **{k.replace(".", "__"): v for k, v in changes.items()})
    assert f" {key}: " in f" {message}" and words in message


def test_the_coil_follows_the_bore():
    """A region that fits along the bore must fit wherever the bore points."""
    moved = {"region": {"radius": "100 mm", "centre": [0, "100 mm", 0]}}
    assert load(GRADIENT | moved | {"frame": {"bore_axis": "y"}})
    assert "from the bore axis" in only(GRADIENT | moved)


def test_amplifier_and_winding_current_agree():
    changes = {"winding": {"current": "700 A"}, "amplifier": {"current": "650 A", "voltage": "1.3 kV"}}
    assert "must not exceed amplifier.current = 650 A, got 700 A" in only(GRADIENT | changes)


def test_net_force_needs_a_magnet_with_gradients():
    changes = {"magnet": {"flux_density": "3 T"}, "limits": {"net_force": "10 N"}}
    assert "must come with magnet.blocks" in only(GRADIENT | changes)
    block = {"inner_radius": "0.5 m", "outer_radius": "0.4 m", "z_low": 0, "z_high": 1, "current_density": "100 A/mm^2"}
    assert "magnet.blocks.0.outer_radius: must exceed" in only(GRADIENT | {"magnet": {"flux_density": 3, "blocks": [block]}})


@pytest.mark.parametrize(
    "changes, key, words",
    [
        ({"coils": []}, "coils", "at least one coil"),
        ({"frame": {"b0_axis": "x", "bore_axis": "x"}}, "frame.bore_axis", "must be z or -z, since windings of rectangular section are coaxial about z, got x"),
        ({"frame.b0_axis": "x"}, "frame.b0_axis", "must be parallel to frame.bore_axis"),
        ({"coils.0.radius": "30 mm"}, "coils.0.radius.min", "outside the region"),
        ({"coils.0.radius.start": "300 mm"}, "coils.0.radius.start", "must lie between min = 150 mm and max = 250 mm, got 300 mm"),
        ({"coils.0.radius.min": "400 mm"}, "coils.0.radius.min", "must not exceed max"),
        ({"coils.0.radius.max": None}, "coils.0.radius.max", "must be a length"),
        ({"coils.0.position.min": "0 mm"}, "coils.0.position.min", "mirror twin"),
        ({"coils.1.position.start": "70 mm", "coils.0.position.start": "50 mm"}, "coils.1.position.start", "above coils.0"),
        ({"region.centre": [0, 0, 0.1]}, "region.centre", "must be [0, 0, 0]"),
        ({"objective.homogeneity": 0, "objective.power": 0}, "objective.homogeneity", "must be positive"),
    ],
)  # fmt: skip
def test_magnet_mistakes(changes, key, words):
    message = only(FILES["magnet"], **{k.replace(".", "__"): v for k, v in changes.items()})
    assert f": {key}: " in message and words in message


def test_a_single_value_holds_a_coil_fixed():
    coil = load(FILES["magnet"], {"coils.0.radius": "200 mm"}).coils[0]
    assert coil.radius.fixed and coil.radius.start == 0.2 and not coil.position.fixed


@pytest.mark.parametrize(
    "changes, key, words",
    [
        ({"field_map.b0": "nope.nii.gz"}, "field_map.b0", "must be an existing file, got 'nope.nii.gz'; looked for"),
        ({"field_map.mask": 3}, "field_map.mask", "must be the path of a file, got 3"),
        ({"coils.rows": None}, "coils.rows", "must be given for arrangement cylinder"),
        ({"coils.row_spacing": None}, "coils.row_spacing", "must be given"),
        ({"coils.loop_radius": "150 mm"}, "coils.loop_radius", "must be less than radius"),
        ({"limits.total_current": "1 A"}, "limits.total_current", "must be at least current"),
        ({"criterion": "best"}, "criterion", "must be least_squares, l1, huber, cvar or min_max"),
    ],
)
def test_shim_mistakes(changes, key, words):
    message = only(FILES["shim"], **{k.replace(".", "__"): v for k, v in changes.items()})
    assert f": {key}: " in message and words in message


def test_shim_loops_can_be_listed():
    loop = {"centre": [0, 0, "50 mm"], "normal": "z", "radius": "55 mm"}
    model = load(FILES["shim"], {"coils": {"arrangement": "list", "loops": [loop, loop]}})
    assert len(model.coils[0].loops) == 2
    assert "must be given for arrangement list" in only(FILES["shim"], coils={"arrangement": "list"})
    assert "must list at least one loop" in only(FILES["shim"], coils={"arrangement": "list", "loops": []})
    assert load(FILES["shim"]).coils[0].rows == 2


# --- as data ---------------------------------------------------------------------------------------------


def test_every_figure_that_a_recipe_makes_may_be_required():
    from test_docs import computed_figures

    from designtools.spec.figures import FIGURES

    assert computed_figures() - set(FIGURES) == set()
    assert load(GRADIENT | {"requirements": [{"quantity": "rise_time", "op": "<", "limit": "200 us"}]}).requirements[0].limit == 2e-4


def test_fingerprint_is_of_content(tmp_path):
    base = fingerprint(load(GRADIENT))
    assert fingerprint(load(GRADIENT | {"region": {"radius": 0.1}})) == base
    assert fingerprint(load(GRADIENT, {"region.radius": "101 mm"})) != base


def test_fingerprint_of_input_files_is_of_their_content(tmp_path):
    for name in ("data/ge3t_brain_b0hz.nii.gz", "data/ge3t_brain_mask.nii.gz"):
        (tmp_path / Path(name).name).write_bytes((SPECS / name).read_bytes())
    text = FILES["shim"].read_text().replace("data/", "")
    (tmp_path / "moved.yaml").write_text(text)
    assert fingerprint(load(tmp_path / "moved.yaml")) == fingerprint(load(FILES["shim"]))
    (tmp_path / "ge3t_brain_mask.nii.gz").write_bytes(b"other")
    assert fingerprint(load(tmp_path / "moved.yaml")) != fingerprint(load(FILES["shim"]))


@pytest.mark.parametrize("kind", KINDS)
def test_published_json_schema_is_current(kind, tmp_path):
    write_json_schemas(tmp_path)
    published = SPECS / "schema" / f"{kind}.json"
    assert published.read_text(encoding="utf-8") == (tmp_path / f"{kind}.json").read_text(encoding="utf-8"), (
        "run: python -c \"from designtools.spec import write_json_schemas; write_json_schemas('specs/schema')\""
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_description(kind):
    schema = json_schema(kind)
    sections = [schema, *schema["$defs"].values()]
    bare = [(s["title"], name) for s in sections for name, field in s.get("properties", {}).items() if "description" not in field]
    assert bare == []
    assert all(section["additionalProperties"] is False for section in sections if "properties" in section)


def test_json_schema_knows_units():
    width = json.loads(json.dumps(json_schema("gradient")))["$defs"]["Conductor"]["properties"]["width"]
    assert width["unit"] == "m" and "150 mm" in width["examples"]
