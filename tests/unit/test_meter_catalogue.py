"""Register maps: what a file may say, what is refused, and what the tool shows of it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from clsbench.cli.meter import meter
from clsbench.errors import BadInput
from clsbench.meters import catalogue
from dicamm.metering.meter import MeterProfile
from dicamm.proto import obis

GOOD = """
name = "M"
source = "made up"
phases = 3

[bus]
address = 1

[[register]]
obis = "1-0:1.8.0"
address = 0x48
function = 4
type = "f32"
unit = "kWh"
resolution = -2
"""


@pytest.mark.parametrize("model", catalogue.models())
def test_model_tells_its_source_and_both_energy_registers(model: str):
    found = catalogue.load(model)
    assert "register facts" in found.source
    units = {entry.obis: entry.dlms_unit for entry in found.registers}
    assert units["1-0:1.8.0"] == units["1-0:2.8.0"] == 30


def test_event_reading_of_the_sdm630_is_the_documented_request():
    profile = MeterProfile(catalogue.compact("eastron_sdm630"))
    assert profile.plan([obis.parse("1-0:1.8.0")]) == [(4, 0x48, 2)]


def test_unknown_facts_stay_unknown():
    bus = catalogue.load("abb_b23").bus
    assert (bus.address, bus.baud, bus.parity, bus.max_registers) == (None, None, None, None)
    assert "baud" not in catalogue.compact("abb_b23")


def fault(tmp_path: Path, text: str) -> str:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        catalogue.load_file(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_good_file_loads(tmp_path: Path):
    path = tmp_path / "m.toml"
    path.write_text(GOOD, encoding="utf-8")
    found = catalogue.load_file(path)
    assert (found.model, found.registers[0].scaler) == ("m", 1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('unit = "kWh"', 'unit = "kwh"', "register 1 (1-0:1.8.0), unit: unknown unit"),
        ("function = 4", "function = 5", "register 1 (1-0:1.8.0), function"),
        ('type = "f32"', 'type = "f16"', "register 1 (1-0:1.8.0), type"),
        ("resolution = -2", "resolution = -2\nfactor = [1]", "register 1 (1-0:1.8.0), factor"),
        ("resolution = -2", "resolution = -2\nfactor = [0, 1]", "register 1 (1-0:1.8.0), factor"),
        ("resolution = -2", "", "register 1 (1-0:1.8.0), resolution: Field required"),
        ("resolution = -2", "resolution = -2\nscale = 1", "register 1 (1-0:1.8.0), scale: Extra"),
        ("address = 0x48", 'address = "0x48"', "register 1 (1-0:1.8.0), address"),
        ("address = 0x48", "address = 0xFFFF", "register 1-0:1.8.0 ends beyond"),
        ('obis = "1-0:1.8.0"', 'obis = "1.8.0"', "register 1 (1.8.0), obis"),
        ("address = 1", "address = 0", "bus.address"),
        ("address = 1", 'parity = "N"', "bus.parity"),
        ('name = "M"', "", "name: Field required"),
        ('name = "M"', 'name = "M"\nmodel = "x"', "model: the file's name says it"),
        ('name = "M"', "name = M", "Invalid value"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, old: str, new: str, told: str):
    assert told in fault(tmp_path, GOOD.replace(old, new, 1))


def test_double_and_overlapping_registers_are_refused(tmp_path: Path):
    second = GOOD[GOOD.index("[[register]]") :]
    assert "1-0:1.8.0 is given twice" in fault(tmp_path, GOOD + second)
    shifted = second.replace("1.8.0", "2.8.0").replace("0x48", "0x49")
    assert "1-0:1.8.0 and 1-0:2.8.0 overlap" in fault(tmp_path, GOOD + shifted)


def test_unknown_model_names_the_nearest():
    with pytest.raises(BadInput, match="eastron_sdm630"):
        catalogue.load("sdm630")


def test_list_prints_one_document():
    ran = CliRunner().invoke(meter, ["list", "--json"])
    assert ran.exit_code == 0
    listed = {entry["model"]: entry for entry in json.loads(ran.stdout)["meters"]}
    assert sorted(listed) == catalogue.models()
    assert listed["eastron_sdm630"]["bus"]["baud"] == 9600


def test_show_prints_registers_as_json_and_as_a_table():
    ran = CliRunner().invoke(meter, ["show", "eastron_sdm630", "--json"])
    registers = {entry["obis"]: entry for entry in json.loads(ran.stdout)["registers"]}
    assert registers["1-0:1.8.0"]["scaler"] == 1
    table = CliRunner().invoke(meter, ["show", "eastron_sdm630"])
    assert table.exit_code == 0
    assert "0x0048" in table.stdout and "mbmd" in table.stdout


def test_list_prints_every_model_in_full():
    ran = CliRunner().invoke(meter, ["list"])
    assert all(model in ran.stdout for model in catalogue.models())


ODD = """
[[register]]
obis = "1-0:2.8.0"
address = 0x100
function = 3
type = "bcd32"
unit = "kWh"
resolution = -1
word_order = "little"
no_value = 0xFFFFFFFF
factor = [5, 4]
doubt = "not confirmed"
"""


def odd(tmp_path: Path) -> catalogue.MeterModel:
    path = tmp_path / "odd.toml"
    path.write_text(GOOD + ODD, encoding="utf-8")
    return catalogue.load(str(path))


def test_factor_word_order_and_no_value_of_one_register_reach_the_device(tmp_path: Path):
    data = catalogue.compact(odd(tmp_path))
    assert data["registers"][0] == ["0100010800ff", 0x48, 4, "f32", 0, 30, 1, 3]
    assert data["registers"][1] == [
        *["0100020800ff", 0x100, 3, "bcd32", 1, 30, 2, 3],
        *[0xFFFFFFFF, 5, 4],
    ]
    profile = MeterProfile(data)
    # low word first: BCD 00012345 steps of 1.25 kWh are 15431.25 kWh, 154313 tenths
    values = profile.decode(3, 0x100, bytes.fromhex("23450001"))
    assert values == [(b"\x01\x00\x02\x08\x00\xff", 154313, 2, 30)]
    assert profile.decode(3, 0x100, bytes.fromhex("FFFFFFFF")) == []
    assert profile.last_refused == [(b"\x01\x00\x02\x08\x00\xff", "undefined")]


def test_show_tells_what_is_unknown_assumed_and_doubted(tmp_path: Path):
    odd(tmp_path)
    ran = CliRunner().invoke(meter, ["show", str(tmp_path / "odd.toml")])
    told = " ".join(ran.stdout.split())
    assert "unknown: baud, parity, stop_bits, max_registers, serial_number" in told
    assert "1-0:2.8.0: not confirmed" in told
    assert "5/4" in told
    ran = CliRunner().invoke(meter, ["show", "hager_ecr380d", "--json"])
    shown = json.loads(ran.stdout)
    assert shown["unknown"] == ["address", "baud", "parity", "stop_bits", "max_registers"]
    assert [entry["name"] for entry in shown["identification"]] == [
        *("serial_number", "vendor", "product")
    ]


def test_a_string_register_needs_its_length(tmp_path: Path):
    entry = '\n[[identification]]\nname = "vendor"\naddress = 0\nfunction = 3\ntype = "string"\n'
    assert "a string needs it" in fault(tmp_path, GOOD + entry)


def test_all_nineteen_meters_are_known():
    assert len(catalogue.models()) == 19
