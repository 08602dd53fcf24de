"""`clsbench decode sml`: forms of input and output."""

import json

import pytest
from click.testing import CliRunner

from clsbench.cli.decode import decode
from clsbench.errors import BadInput
from clsbench.meters.device_id import server_id
from clsbench.meters.sml_document import decimal_text
from clsbench.meters.sml_encode import telegram

VALUES = [
    (b"\x01\x00\x60\x32\x01\x01", b"EMH", None, None, None),
    (b"\x01\x00\x01\x08\x00\xff", 2**60, -4, 30, 386),
    (b"\x01\x00\x10\x07\x00\xff", -46, 0, 27, None),
]
TELEGRAM = telegram(server_id("1EMH0098765432"), VALUES, 77)


def run(*arguments, data=b""):
    outcome = CliRunner().invoke(decode, ["sml", *arguments], input=data)
    if outcome.exception:
        raise outcome.exception
    return outcome.stdout


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_one_file_gives_its_document(interpreter):
    out = run("-", "--json", "--on", interpreter, data=b"\x00" + TELEGRAM + TELEGRAM[:30])
    document = json.loads(out)
    good, broken = document["frames"]
    assert document["discarded"] == {"noise": 1, "cut off": 1}
    assert (good["offset"], good["length"], good["valid"]) == (1, len(TELEGRAM), True)
    assert (broken["offset"], broken["length"], broken["valid"]) == (1 + len(TELEGRAM), 30, False)
    assert good["server_id"] == "0a01454d480005e30a78"
    text, energy, power = good["entries"]
    assert (text["obis"], text["text"], text["value"]) == ("1-0:96.50.1*1", "EMH", None)
    assert (energy["raw"], energy["scaler"], energy["unit"]) == (2**60, -4, 30)
    assert (energy["value"], energy["status"]) == ("115292150460684.6976", 386)
    assert power["value"] == "-46"


def test_several_files_give_a_list_with_names(tmp_path):
    names = [str(tmp_path / name) for name in ("a.bin", "b.hex")]
    (tmp_path / "a.bin").write_bytes(TELEGRAM)
    (tmp_path / "b.hex").write_text(TELEGRAM.hex(" ") + "\n")
    first, second = json.loads(run(*names, "--json"))
    assert [first["file"], second["file"]] == names
    assert first["frames"] == second["frames"]


@pytest.mark.parametrize(
    "text",
    [
        TELEGRAM.hex(),
        TELEGRAM.hex(":").upper(),
        TELEGRAM.hex("-", 4),
        ", ".join(f"0x{byte:02X}" for byte in TELEGRAM),
        "\ufeff# reading head, 9600 8N1\r\n" + TELEGRAM.hex(" ") + " # the whole telegram\r\n",
        TELEGRAM.hex()[:33] + "\n" + TELEGRAM.hex()[33:],
    ],
    ids=["plain", "colons", "dashes", "C", "comments", "broken line"],
)
def test_hex_text_is_read_however_it_is_written(text):
    (frame,) = json.loads(run("-", "--json", data=text.encode()))["frames"]
    assert frame["valid"] and (frame["offset"], frame["length"]) == (0, len(TELEGRAM))


@pytest.mark.parametrize("interpreter", ["cpython", "micropython"])
def test_a_long_capture_is_read_whole(interpreter):
    good = json.loads(run("-", "--json", "--on", interpreter, data=(b"\x00" + TELEGRAM) * 150))
    assert sum(frame["valid"] for frame in good["frames"]) == 150
    assert good["discarded"] == {"noise": 150}


def test_a_telegram_of_many_kilobytes_is_read():
    long = [(b"\x01\x00\x01\x08\x00\xff", bytes(240), None, None, None)] * 80
    (frame,) = json.loads(run("-", "--json", data=telegram(b"\x01", long, 1)))["frames"]
    assert frame["valid"] and frame["length"] > 19_000 and len(frame["entries"]) == 80


def test_table_shows_meter_value_and_unit():
    out = run("-", data=TELEGRAM)
    assert "1EMH0098765432" in out and "-46" in out and "Wh" in out and "1 good" in out


def test_messages_without_transport_are_read():
    frame = json.loads(run("-", "--json", data=TELEGRAM[8:-8]))["frames"][0]
    assert frame["quirks"] == ["payload_without_transport"] and frame["crc"] is None
    assert len(frame["entries"]) == 3


def test_bytes_that_are_no_telegram_are_noise():
    assert json.loads(run("-", "--json", data=b"hello")) == {
        "frames": [],
        "discarded": {"noise": 1},
    }
    assert json.loads(run("-", "--json", data=b""))["frames"] == []


def test_unreadable_input_is_named(tmp_path):
    with pytest.raises(BadInput, match="no-such.bin"):
        run(str(tmp_path / "no-such.bin"))
    with pytest.raises(BadInput, match="two hex digits"):
        run("-", data=b"1b1b1")


@pytest.mark.parametrize(
    ("raw", "scaler", "text"),
    [(0, -1, "0.0"), (-5, -3, "-0.005"), (1234, -2, "12.34"), (13, 3, "13000"), (-7, 0, "-7")],
)
def test_decimal_text_is_exact(raw, scaler, text):
    assert decimal_text(raw, scaler) == text
