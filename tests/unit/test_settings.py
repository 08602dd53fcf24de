"""Settings and key material move from what provisioning left into the store, and stay there."""

import json

import pytest
from journal_kit import nor_model

from dicamm.store import settings
from dicamm.store.configuration import SettingsError
from dicamm.store.settings_store import SettingsStore

NorModel, PowerCut = nor_model.NorModel, nor_model.PowerCut

CONFIG = {
    "device_id": "ETST0020000017",
    "cls_id": "ETST0020000017",
    "meter_id": "1EAS0012345678",
    "meter_profile": {"model": "x"},
    "record_obis": ["1-0:1.8.0"],
    "poll_obis": [],
}
KEY = bytes(range(32))


@pytest.fixture
def flash():
    return NorModel(2)


@pytest.fixture
def folder(tmp_path):
    provision(tmp_path)
    return tmp_path


def provision(folder, **changed):
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    (folder / "records.key").write_bytes(KEY)


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_move_into_the_store_and_off_the_file_system(folder, flash):
    first = settings.load(str(folder), flash)
    assert left(folder) == []
    again = settings.load(str(folder), flash)
    for found in (first, again):
        assert found.device_id == "ETST0020000017" and found.baud == 9600
        assert found.read_file("records.key") == KEY


def test_what_is_provisioned_anew_replaces_only_itself(folder, flash):
    settings.load(str(folder), flash)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"baud": 19200}))
    found = settings.load(str(folder), flash)
    assert found.baud == 19200 and found.read_file("records.key") == KEY


def test_the_same_files_again_cost_no_erase(folder, flash):
    settings.load(str(folder), flash)
    before = list(flash.erases)
    provision(folder)
    settings.load(str(folder), flash)
    assert flash.erases == before and left(folder) == []


@pytest.mark.parametrize("operation", range(1, 12))
def test_a_power_cut_leaves_either_the_old_settings_or_the_new(folder, flash, operation):
    settings.load(str(folder), flash)
    provision(folder, baud=19200, drift_ppm=7)
    count = []

    def fail(*_):
        count.append(1)
        if len(count) == operation:
            raise PowerCut

    flash.before = fail
    try:
        settings.load(str(folder), flash)
    except PowerCut:
        assert "config.json" in left(folder)  # so that the next start takes it over
    flash.before = None
    stored = json.loads(SettingsStore(flash).get("config.json"))
    assert (stored.get("baud"), stored.get("drift_ppm")) in ((None, None), (19200, 7))
    found = settings.load(str(folder), flash)
    assert (found.baud, found.drift_ppm) == (19200, 7)


def test_without_a_region_the_files_are_read_where_they_are(folder):
    assert settings.load(str(folder)).read_file("records.key") == KEY
    assert left(folder) == ["config.json", "records.key"]


def test_forgotten_files_are_gone_and_settings_stay(folder, flash):
    found = settings.load(str(folder), flash)
    found.forget_files()
    assert found.meter_unit == 1
    with pytest.raises(SettingsError, match="records.key is missing"):
        found.read_file("records.key")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"bauds": 1}, "unknown key 'bauds'"),
        ({"baud": "fast"}, "key 'baud' has the wrong type"),
        ({"cls_id": None}, "key 'cls_id' is missing"),
        ({"gateway_name": "x" * 4000}, "settings store: "),
    ],
)
def test_wrong_settings_are_refused_by_name(folder, flash, changed, words):
    provision(folder, **changed)
    with pytest.raises(SettingsError, match=words):
        settings.load(str(folder), flash)


def test_a_device_that_was_never_provisioned_says_so(tmp_path, flash):
    with pytest.raises(SettingsError, match="provision the device first"):
        settings.load(str(tmp_path), flash)
