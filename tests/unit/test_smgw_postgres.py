"""The gateway's state on a PostgreSQL server: what differs from a file, and what must not."""

import sys
import time
from dataclasses import replace

import pytest
from postgres_kit import lacking, server

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.smgw import schema
from clsbench.smgw.config import load_config
from clsbench.smgw.core.logs import LogEntry
from clsbench.smgw.looking import Look
from clsbench.smgw.store import Draft, Store
from clsbench.store import database
from clsbench.store.database import DatabaseFailure, Postgres, checked_url, transaction

CONFIG = """
[smgw]
id = "ETST0010000001"
{state}
[pki]
dir = "p"
[gwa]
name = "gwa-test"
port = 1
"""


@pytest.fixture
def url(postgres):
    return postgres.new_state()


def draft(profile_id="taf16"):
    return Draft(profile_id, ("flexmarkt",), 5, lambda seq: (b"%d" % seq, b"cms"))


# the configuration


@pytest.mark.parametrize(
    "state",
    [
        'store = "postgresql://gw:hunter2@localhost/gw"',
        'store = "postgresql://gw@localhost/gw?password=hunter2"',
        'store = "postgresql://gw:a/hunter2@localhost/gw"',
        'store = "postgresql://gw:#hunter2@localhost/gw"',
        'store = "postgresql://gw@localhost/gw?%70assword=hunter2"',
        'store = "mysql://gw@localhost/gw"',
        'store = "postgresql://gw@localhost/gw"\nstate_dir = "s"',
        "",
    ],
)
def test_a_password_another_scheme_two_states_and_none_are_refused(tmp_path, state):
    path = tmp_path / "smgw.toml"
    path.write_text(CONFIG.format(state=state))
    with pytest.raises(BadInput, match="store|PostgreSQL") as refused:
        load_config(path)
    assert "hunter2" not in str(refused.value)


def test_the_state_is_the_folder_beside_the_file_or_the_url(tmp_path):
    path = tmp_path / "smgw.toml"
    path.write_text(CONFIG.format(state='state_dir = "s"'))
    assert load_config(path).smgw.state() == tmp_path / "s"
    path.write_text(CONFIG.format(state='store = "postgresql://gw@localhost/gw"'))
    assert load_config(path).smgw.state() == "postgresql://gw@localhost/gw"


def test_without_the_package_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(EnvironmentProblem, match=r"clsbench\[postgresql\]"):
        Store("postgresql://gw@localhost/gw")


# the translation


def test_placeholders_of_all_three_kinds_become_numbers():
    native = database._native
    assert native("a = ? AND b = ?") == ("a = $1 AND b = $2", ())
    assert native("a = ?1 AND b = ?2 AND c = ?1") == ("a = $1 AND b = $2 AND c = $1", ())
    assert native("a = :x AND b = :y % :x") == ("a = $1 AND b = $2 % $1", ("x", "y"))


def test_an_integer_beyond_64_bits_is_told_as_on_sqlite_and_stops_nothing(state):
    store = Store(state)
    with pytest.raises(OverflowError):
        store.record_due(2**63, draft())
    written = store.record_due(2**63 - 1, draft())
    assert written is not None and written.seq == 1
    store.close()


def test_text_with_a_nul_stops_nothing_and_is_found_again(state):
    store = Store(state)
    store.remember("a\0b", "c\0d")
    assert store.fact("a\0b") in ("c\0d", "c\ufffdd")
    store.close()


def test_columns_named_by_words_of_the_language_are_columns(state):
    store = Store(state)
    store.add_log("system", 9, "INFO", "e", "SUCCESS", "s", "m", user="u")
    entry = LogEntry("system", 1, 9, "INFO", "e", "SUCCESS", "s", "m", "u")
    assert store.read_log("system") == [entry]
    store.close()


# versions


def test_an_older_schema_is_brought_forward_and_a_newer_one_refused(url):
    older = schema.open_postgres(url, schema.MIGRATIONS[:1])
    older.execute("INSERT INTO sequences VALUES ('record/taf16', 7)")
    older.execute("INSERT INTO logs VALUES ('system', 1, 1, 'INFO', 'e', 'SUCCESS', 's', 'm')")
    older.close()
    with pytest.raises(EnvironmentProblem, match="schema version 1, this program reads"):
        schema.look_at(url)
    store = Store(url)
    assert store.record_state(draft()).seq == 8 and store.read_log("system")[0].user == ""
    store.close()
    with pytest.raises(EnvironmentProblem, match="use the newer program"):
        schema.open_postgres(url, schema.MIGRATIONS[:1])


def test_a_migration_that_fails_changes_nothing(url):
    with pytest.raises(EnvironmentProblem, match="already exists"):
        schema.open_postgres(url, ("CREATE TABLE a (x TEXT); CREATE TABLE a (x TEXT);",))
    session = Postgres(url)
    assert session.version() == 0
    assert session.execute("SELECT to_regclass('a')").fetchone() == (None,)
    session.close()


def test_tables_and_columns_are_those_of_sqlite(url, tmp_path):
    store, filed = Store(url), Store(tmp_path)
    names = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    tables = [name for (name,) in filed.database.execute(names)]
    for table in tables:
        columns = [row[1] for row in filed.database.execute(f"PRAGMA table_info({table})")]
        found = store.database.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = ?"
            " AND table_schema = current_schema() ORDER BY ordinal_position",
            (table,),
        )
        assert [name for (name,) in found] == columns
    store.close()
    filed.close()


# session, lock, crash


def test_a_running_gateway_is_told_and_a_look_cannot_write(url):
    store = Store(url)
    look = Look(url, 0)
    assert look.status()["running"] is True
    looking = schema.look_at(url)
    with pytest.raises(DatabaseFailure, match="read-only"), transaction(looking):
        looking.execute("DELETE FROM facts")
    looking.close()
    store.close()
    deadline = time.monotonic() + 40
    while look.status()["running"] and time.monotonic() < deadline:
        time.sleep(0.02)  # the server ends the session, and with it the lock, in its own time
    assert look.status()["running"] is False


def test_two_gateways_live_in_two_schemas_of_one_database(postgres):
    stores = [Store(postgres.new_state()) for _ in range(2)]
    assert [store.record_state(draft()).seq for store in stores] == [1, 1]
    for store in stores:
        store.close()


def test_looking_where_no_gateway_ran_is_told(url):
    with pytest.raises(EnvironmentProblem, match="has a gateway ever run"):
        schema.look_at(url)


def test_a_wrong_password_and_a_missing_server_are_told_without_the_password(url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    with pytest.raises(EnvironmentProblem, match="password authentication failed") as refused:
        Store(url)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(EnvironmentProblem, match="is the server up"):
        Store("postgresql://gw@/gw?host=/nowhere")


def test_a_commit_is_on_the_disk_before_it_returns(url):
    store = Store(url)
    asked = "SELECT current_setting('synchronous_commit'), current_setting('fsync')"
    assert store.database.execute(asked).fetchone() == ("on", "on")
    store.close()


@pytest.mark.skipif(lacking() is not None, reason=str(lacking()))
def test_a_server_that_crashes_is_told_and_keeps_what_was_committed(monkeypatch):
    with server() as own:
        monkeypatch.setenv("PGPASSWORD", own.password)
        url = own.new_state()
        store = Store(url)
        first = store.record_due(1, draft())
        own.stop("immediate")
        with pytest.raises(DatabaseFailure):
            store.record_due(2, draft())
        store.close()
        own.start()
        store = Store(url)
        second = store.record_due(2, draft())
        assert first is not None and second == replace(first, seq=2, content=b"2")
        store.close()


def test_a_url_without_password_stands():
    assert checked_url("postgres://gw@h/d?sslmode=verify-full").endswith("verify-full")
