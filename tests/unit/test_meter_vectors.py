"""Every meter file against its vector: bytes made by hand give the integers worked out by hand."""

import json
from pathlib import Path

import pytest

from clsbench.errors import BadInput
from clsbench.meters import catalogue
from clsbench.meters.vectors import differences, load_vectors
from dicamm.metering.meter import MeterProfile
from dicamm.proto import obis

VECTORS = Path(__file__).parent / "meter_vectors"

GOOD = """
[[reply]]
note = "50 Hz"
function = 4
address = 0x46
registers = "4248 0000"
values."1-0:14.7.0" = [5000, -2, "Hz"]
"""


def test_every_meter_has_a_vector_and_every_vector_a_meter():
    assert sorted(path.stem for path in VECTORS.glob("*.toml")) == catalogue.models()


@pytest.mark.parametrize("model", catalogue.models())
def test_the_device_gives_the_integers_of_every_vector(model: str):
    found = catalogue.load(model)
    for reply in load_vectors(VECTORS / f"{model}.toml"):
        assert differences(found, reply) == []


@pytest.mark.parametrize("model", catalogue.models())
def test_a_vector_holds_an_energy_or_power_of_the_meter(model: str):
    given = {code for reply in load_vectors(VECTORS / f"{model}.toml") for code in reply.values}
    assert given <= {entry.obis for entry in catalogue.load(model).registers}
    assert given


@pytest.mark.parametrize("model", catalogue.models())
def test_the_compact_form_survives_json(model: str):
    found = catalogue.load(model)
    profile = MeterProfile(json.loads(json.dumps(catalogue.compact(found))))
    assert profile.obis_codes == [obis.parse(entry.obis) for entry in found.registers]
    limit = found.bus.max_registers or catalogue.MAX_READ
    assert all(count <= limit for _, _, count in profile.plan(profile.obis_codes))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vector.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("5000, -2", "5001, -2", "1-0:14.7.0: value (5001, -2, 44) wanted, (5000, -2, 44) given"),
        ("1-0:14.7.0", "1-0:1.8.0", "1-0:14.7.0: value none wanted, (5000, -2, 44) given"),
        ('"Hz"', '"kWh"', "without prefix"),
        ("4248 0000", "7FC0 0000", "1-0:14.7.0: refused none wanted, not finite given"),
    ],
)
def test_a_difference_is_told(tmp_path: Path, old: str, new: str, told: str):
    reply = load_vectors(write(tmp_path, GOOD.replace(old, new)))[0]
    assert any(told in line for line in differences(catalogue.load("eastron_sdm630"), reply))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"4248 0000"', '"424"', "reply 1, registers"),
        ('note = "50 Hz"', "", "reply.0.note"),
        ("function = 4", "function = 6", "reply.0.function"),
        ("[[reply]]", "[[replies]]", "Field required"),
        ("address = 0x46", "address = ", "Invalid value"),
    ],
)
def test_a_faulty_vector_file_is_named(tmp_path: Path, old: str, new: str, told: str):
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BadInput) as caught:
        load_vectors(path)
    assert str(path) in str(caught.value) and told in str(caught.value)
