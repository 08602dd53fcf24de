"""Settings that change at run time: whole or not at all, whatever is cut or flips."""

import binascii

import pytest
from journal_kit import NorFile, Rng
from nor_model import SECTOR, NorModel

from dicamm.drivers.flash import FlashRegion
from dicamm.store.settings_store import SettingsStore, StoreError

KEY = bytes(range(32))


@pytest.fixture
def flash():
    return NorModel(3)


def test_values_outlive_the_object(flash):
    store = SettingsStore(flash, 1)
    assert store.names() == [] and store.get("limit_w") is None and store.get("x", 5) == 5
    store.put({"limit_w": 4200, "records.key": KEY, "pool": "west"})
    again = SettingsStore(flash, 1)
    assert again.names() == ["limit_w", "pool", "records.key"]
    assert (again.get("limit_w"), again.get("records.key"), again.get("pool")) == (
        4200,
        KEY,
        "west",
    )
    assert again.rewritten == 0 and again.version == store.version
    assert bytes(flash.data[:SECTOR]) == b"\xff" * SECTOR  # the sector before is not its own


def test_put_changes_what_it_names_and_none_takes_away(flash):
    store = SettingsStore(flash)
    store.put({"a": 1, "b": 2})
    store.put({"b": 3, "c": -4})
    store.put({"a": None, "never": None})
    assert {name: SettingsStore(flash).get(name) for name in store.names()} == {"b": 3, "c": -4}


@pytest.mark.parametrize("value", [1.5, True, [1], {}])
def test_value_of_another_type_is_refused(flash, value):
    store = SettingsStore(flash)
    store.put({"a": 1})
    with pytest.raises(TypeError):
        store.put({"a": value, "b": 2})
    assert SettingsStore(flash).names() == ["a"]


def test_name_that_is_no_text_is_refused(flash):
    with pytest.raises(TypeError, match="name of a setting"):
        SettingsStore(flash).put({3: 1})


def test_what_does_not_fit_is_refused_and_changes_nothing(flash):
    store = SettingsStore(flash)
    store.put({"a": 1})
    with pytest.raises(StoreError, match="do not fit"):
        store.put({"big": bytes(4000), "too": bytes(100)})
    assert store.names() == SettingsStore(flash).names() == ["a"]
    store.put({"big": bytes(4000)})
    assert SettingsStore(flash).get("big") == bytes(4000)


def test_errors_do_not_tell_values(flash):
    store = SettingsStore(flash)
    with pytest.raises(TypeError) as caught:
        store.put({"records.key": [KEY]})
    assert "1f" not in str(caught.value) and str(KEY) not in str(caught.value)


@pytest.mark.parametrize("copy", [0, 1])
def test_either_copy_serves_alone_and_the_other_is_written_anew(flash, copy):
    SettingsStore(flash).put({"records.key": KEY})
    rng = Rng(copy)
    for at in range(copy * SECTOR, copy * SECTOR + 60):
        flash.data[at] &= rng.byte()
    store = SettingsStore(flash)
    assert store.get("records.key") == KEY and store.rewritten == 1
    assert SettingsStore(flash).rewritten == 0


def test_newer_copy_wins(flash):
    store = SettingsStore(flash)
    for value in range(5):
        before = bytes(flash.data)
        store.put({"value": value})
        after = bytes(flash.data)
        for half in (0, 1):  # as if the power had failed between the two copies
            flash.data[:] = before
            at = slice(half * SECTOR, (half + 1) * SECTOR)
            flash.data[at] = after[at]
            assert SettingsStore(flash).get("value") == value
        flash.data[:] = after


def test_another_layout_is_refused_and_left_alone(flash):
    store = SettingsStore(flash)
    store.put({"a": 1})
    image = store._image(9, b"\xa0")
    image[2] = 2
    image[12:16] = crc_of(image)
    for copy in (0, 1):
        flash.data[copy * SECTOR : copy * SECTOR + len(image)] = image
    before = bytes(flash.data)
    with pytest.raises(StoreError, match="layout 2"):
        SettingsStore(flash)
    assert bytes(flash.data) == before


def crc_of(image):
    return binascii.crc32(image[16:], binascii.crc32(image[:12])).to_bytes(4, "little")


def test_on_the_record_flash_of_the_unix_board(tmp_path):
    device = NorFile(str(tmp_path / "settings.nor"), 2)
    SettingsStore(FlashRegion(device, 2)).put({"limit_w": 4200})
    device.close()
    device = NorFile(str(tmp_path / "settings.nor"), 2)
    assert SettingsStore(FlashRegion(device, 2)).get("limit_w") == 4200
    device.close()
