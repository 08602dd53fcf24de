"""Every register map loads, compacts, and gives the right integers for bytes made by hand."""

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

# model: (function, address, registers in hex, {OBIS: (raw, scaler, DLMS unit)})
VECTORS = {
    "eastron_sdm630": (
        4,
        0x48,
        "449A51EC 41200000",  # 1234.56 kWh, 10 kWh
        {"1-0:1.8.0": (123456, 1, 30), "1-0:2.8.0": (1000, 1, 30)},
    ),
    "eastron_sdm120": (
        4,
        0x48,
        "44C1EBF8 00000000",  # 1551.374 kWh as 1551.3740234375
        {"1-0:1.8.0": (1551374, 0, 30), "1-0:2.8.0": (0, 0, 30)},
    ),
    "eastron_sdm230": (
        4,
        0x46,
        "4247CCCD 3F800000",  # 49.95 Hz, 1 kWh
        {"1-0:14.7.0": (4995, -2, 44), "1-0:1.8.0": (1000, 0, 30)},
    ),
    "eastron_sdm72d_m": (4, 0x34, "C4EFF666", {"1-0:16.7.0": (-19197, -1, 27)}),
    "eastron_sdm72dm_v2": (4, 0x0000, "436CE666", {"1-0:32.7.0": (2369, -1, 35)}),  # 236.9 V
    "abb_b23": (
        3,
        0x5000,
        "000000000001E240 FFFFFFFFFFFFFFFF",  # 123456 counts of 0.01 kWh; no value
        {"1-0:1.8.0": (123456, 1, 30)},
    ),
    "gavazzi_em340": (
        4,
        0x28,
        "FFFE FFFF",  # low word first: -2 counts of 0.1 W
        {"1-0:16.7.0": (-2, -1, 27)},
    ),
    "orno_we516": (
        3,
        0x1C,
        "3FC00000 BE800000",  # 1.5 kW; L1 -0.25 kW
        {"1-0:16.7.0": (15000, -1, 27), "1-0:36.7.0": (-2500, -1, 27)},
    ),
}


def test_every_model_has_a_vector():
    assert sorted(VECTORS) == catalogue.models()


@pytest.mark.parametrize("model", catalogue.models())
def test_model_loads_and_compacts_to_json(model: str):
    data = catalogue.compact(catalogue.load(model))
    again = json.loads(json.dumps(data, separators=(",", ":")))
    profile = MeterProfile(again)
    wanted = [entry.obis_bytes for entry in catalogue.load(model).registers]
    assert profile.obis_codes == wanted
    assert wanted == [obis.parse(entry.obis) for entry in catalogue.load(model).registers]
    limit = catalogue.load(model).bus.max_registers or 125
    assert all(count <= limit for _, _, count in profile.plan(wanted))


@pytest.mark.parametrize("model", sorted(VECTORS))
def test_model_gives_the_integers_of_its_vector(model: str):
    function, address, payload, wanted = VECTORS[model]
    values = MeterProfile(catalogue.compact(model)).decode(
        function, address, bytes.fromhex(payload)
    )
    found = {obis.text(code).split("*")[0]: tuple(rest) for code, *rest in values}
    assert found == wanted


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
        ('type = "f32"', 'type = "f64"', "register 1 (1-0:1.8.0), type"),
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
