"""Databases as earlier gateways left them: brought forward with everything in them."""

import sqlite3
from pathlib import Path

import pytest

from clsbench.smgw import schema
from clsbench.smgw.administered import Administered
from clsbench.smgw.archive import Archive
from clsbench.smgw.exchange import Exchange
from clsbench.smgw.store import Draft, Store

IMAGES = Path(__file__).parent / "smgw_images"
VERSIONS = range(1, len(schema.MIGRATIONS) + 1)
METER, CLS = "1EMH0098765432", "ETST0020000017"


@pytest.fixture(params=VERSIONS)
def image(request, tmp_path):
    """A state folder as version N left it, and N."""
    database = sqlite3.connect(tmp_path / schema.FILE_NAME)
    database.executescript((IMAGES / f"version_{request.param}.sql").read_text())
    database.close()
    return tmp_path, request.param


def test_an_image_of_every_version_is_there():
    assert {path.name for path in IMAGES.iterdir()} == {f"version_{n}.sql" for n in VERSIONS}


def test_records_numbers_and_deliveries_go_on_where_they_were(image):
    store = Store(image[0])
    assert store.last_seqs() == {"taf16": 2, "taf7": 1}
    assert [record.seq for record in store.undelivered("flexmarkt", 0, 9)] == [2, 1]
    draft = Draft("taf16", ("flexmarkt",), 5, lambda seq: (b"{}", b"cms"))
    assert store.record_state(draft).seq == 3
    assert store.last_due_ms("taf7") == 1_780_000_200_000
    (reading,) = store.readings_since(METER, 0)
    assert reading.values[0].raw == 1000 and store.fact("profiles-digest") == "abc"
    store.close()


def test_logs_go_on_and_may_name_a_user(image):
    store = Store(image[0])
    assert store.add_log("system", 9, "INFO", "e", "SUCCESS", "s", "m", user="u") == 3
    entries = Archive(store.database).log_entries("system")
    assert [(entry.number, entry.user) for entry in entries] == [(1, ""), (2, ""), (3, "u")]
    store.close()


def test_what_passed_through_is_still_known(image):
    store = Store(image[0])
    assert Exchange(store).holding(CLS).acknowledged == 1
    store.close()


def test_original_list_and_registers_are_there_from_their_version_on(image):
    folder, version = image
    store = Store(folder)
    archive = Archive(store.database)
    assert len(archive.originals(METER)) == len(archive.derived("taf6")) == int(version >= 2)
    store.close()
    assert len(Archive.reading(folder).originals(METER)) == int(version >= 2)


@pytest.mark.parametrize("version", VERSIONS)
def test_migration_scripts_make_what_the_images_hold(version, tmp_path):
    made = schema.open_database(tmp_path / "made", schema.MIGRATIONS[:version])
    kept = sqlite3.connect(":memory:")
    kept.executescript((IMAGES / f"version_{version}.sql").read_text())
    asked = "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    assert sorted(made.execute(asked)) == sorted(kept.execute(asked))
    for (table,) in kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
        columns = f"PRAGMA table_info({table})"
        assert made.execute(columns).fetchall() == kept.execute(columns).fetchall()


def test_profiles_of_the_administrator_are_there_from_their_version_on(image):
    folder, version = image
    store = Store(folder)
    found = Administered(store.database).load()
    store.close()
    assert set(found) == ({("emt", "passive"), ("taf", "old")} if version >= 4 else set())
    assert version < 4 or found["taf", "old"] is None
