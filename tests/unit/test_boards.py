"""Every board's facts, code and drawing say the same, and its firmware fits."""

import ast
import re

import pytest

from clsbench.device import esp_image, layout
from clsbench.device.boards import KIB, board_facts, board_folder, board_names, matching
from clsbench.device.build import build_firmware, bytecode_bytes
from clsbench.errors import BadInput

CHIPS = [name for name in board_names() if name != "unix"]
PICOS = [name for name in CHIPS if board_facts(name).port == "rp2"]
ESPS = [name for name in CHIPS if board_facts(name).port == "esp32"]


def constants(name):
    """Names in capitals that board.py gives a literal."""
    tree = ast.parse((board_folder(name) / "board.py").read_text("utf-8"))
    pairs = [
        (node.targets[0].id, node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    return {key: value.value for key, value in pairs if isinstance(value, ast.Constant)}


def test_the_boards_that_are_promised_are_there():
    assert board_names() == sorted(
        ["unix", "rpi_pico", "rpi_pico_w", "rpi_pico2_w", "esp32_generic", "esp32_s3", "esp32_c3"]
    )


@pytest.mark.parametrize("name", board_names())
def test_board_toml_and_board_py_agree(name):
    facts, code = board_facts(name), constants(name)
    assert (facts.name, facts.tls) == (code["NAME"], code["HAS_TLS"]) == (name, facts.tls)
    assert facts.record_sectors == code["RECORD_SECTORS"]
    assert facts.settings_sectors == code["SETTINGS_SECTORS"]
    pins = {k[4:].lower(): v for k, v in code.items() if k.startswith("PIN_") and v is not None}
    assert facts.pins == pins
    assert facts.uarts == {k[:-5].lower(): v for k, v in code.items() if k.endswith("_UART")}


@pytest.mark.parametrize("name", CHIPS)
def test_a_boards_file_holds_facts_and_leaves_the_chip_to_its_driver(name):
    tree = ast.parse((board_folder(name) / "board.py").read_text("utf-8"))
    imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert imported <= {"dicamm.drivers", "dicamm.drivers.wifi"}
    (made,) = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert made.name == "ports" and len(made.body) == 2  # the docstring, and one call
    assert not any(isinstance(node, ast.Import | ast.ClassDef | ast.If) for node in tree.body)


@pytest.mark.parametrize("name", board_names())
def test_no_pin_has_two_uses(name):
    pins = board_facts(name).pins
    assert len(set(pins.values())) == len(pins)


@pytest.mark.parametrize("name", PICOS)
def test_records_of_a_pico_lie_behind_its_file_system_and_end_with_the_storage(name):
    facts, code = board_facts(name), constants(name)
    layout.check_layout(facts)
    assert (facts.fs_blocks, facts.record_start) == (code["FS_SECTORS"], code["FIRST_SECTOR"])
    end = facts.record_start + facts.record_sectors + facts.settings_sectors
    assert end == facts.storage_blocks
    assert len(layout.mount_script(facts)) <= layout.INLINE_MAX


@pytest.mark.parametrize("name", ESPS)
def test_partitions_of_an_esp32_fill_what_the_stock_image_gives_to_files(name):
    facts, code = board_facts(name), constants(name)
    records = facts.record_sectors + facts.settings_sectors
    assert facts.fs_blocks + records == (facts.flash_kib - 2048) * KIB // facts.block_size
    assert code["PARTITION"] == esp_image.PARTITION


def test_firmware_of_a_board_with_a_network_fits_with_all_a_setting_can_ask_for(tmp_path):
    facts = board_facts("rpi_pico_w")
    files = build_firmware(facts.name, tmp_path, ("gateway", "channel", "sign"))
    assert bytecode_bytes(files) <= facts.mpy_kib * KIB
    assert dict(files)["board.mpy"][:2] == b"M\x06"


def test_a_pico_carries_the_application_in_120_kib_also_with_sml(tmp_path):
    bare = {name for name, _ in build_firmware("rpi_pico", tmp_path, ())}
    with_sml = build_firmware("rpi_pico", tmp_path, ("sml",))
    assert bytecode_bytes(with_sml) <= 120 * KIB
    missing = ("link/han", "proto/http1", "proto/sml", "proto/p256", "drivers/net", "proto/wmbus")
    assert not bare & {f"lib/dicamm/{name}.mpy" for name in missing}
    assert "lib/dicamm/proto/sml.mpy" in dict(with_sml)


@pytest.mark.parametrize("name", CHIPS)
def test_the_drawn_wiring_names_every_pin(name):
    drawn = (board_folder(name) / "wiring.md").read_text("utf-8")
    for pin in board_facts(name).pins.values():
        assert re.search(rf"\b(GP|IO){pin}\b", drawn), (name, pin)


@pytest.mark.parametrize("name", board_names())
def test_an_image_is_recognised_by_what_it_says_of_itself(name):
    facts = board_facts(name)
    for machine in facts.machine:
        assert matching(facts.port, f"{machine} with something")[0] == name


def test_an_unknown_image_is_nobody():
    assert matching("rp2", "Some Board with RP2040") == []
    assert matching("esp32", "Raspberry Pi Pico with RP2040") == []


def test_a_layout_that_overlaps_is_refused():
    facts = board_facts("rpi_pico")
    fields = vars(facts)
    with pytest.raises(BadInput, match=r"records start at block 191.*ends at 192"):
        layout.check_layout(type(facts)(**fields | {"record_start": 191}))
    with pytest.raises(BadInput, match=r"end at block 353"):
        layout.check_layout(type(facts)(**fields | {"record_start": 193}))
