"""The gateway's store: what is committed stays, numbers are gapless and never used twice."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clsbench.errors import EnvironmentProblem
from clsbench.smgw import schema
from clsbench.smgw.core.commands import Answer, Command
from clsbench.smgw.core.logs import SYSTEM_LOG
from clsbench.smgw.core.readings import OriginalReading, Value
from clsbench.smgw.core.taf16 import Announcement, Conflict
from clsbench.smgw.exchange import ANSWERED, EXPIRED, OPEN, Exchange
from clsbench.smgw.store import TRIM_EVERY, Draft, Store

CLS = "ETST0020000017"
UUID = "0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001"
KILLS = 20
KILLS_OF_A_SERVERS_CLIENT = 8  # each costs the start of a session


@pytest.fixture
def store(state):
    opened = Store(state)
    yield opened
    opened.close()


def draft(profile_id="taf16", emts=("flexmarkt",)):
    return Draft(profile_id, emts, 5, lambda seq: (f"content {seq}".encode(), b"cms"))


def told(uuid=UUID, event="begin", text="t"):
    return Announcement(uuid, CLS, event, text, 1, None, "han")


def command(text="t"):
    return Command("c1", CLS, "flexmarkt", "begin", UUID, text, 1, "taf16")


def test_numbers_are_consecutive_for_each_profile(store):
    for due_ms in (1, 2, 3):
        for profile_id in ("a", "b"):
            record = store.record_due(due_ms, draft(profile_id))
            assert record.seq == due_ms and record.content == f"content {due_ms}".encode()
    assert store.last_seqs() == {"a": 3, "b": 3}


def test_a_due_time_is_recorded_once(store):
    assert store.record_due(900_000, draft()) is not None
    assert store.record_due(900_000, draft()) is None
    assert store.last_due_ms("taf16") == 900_000
    assert store.last_due_ms("other") is None


def test_an_event_stored_again_gives_the_same_records(store):
    first, new = store.record_event(told(), 1, [draft("a"), draft("b")])
    again, new_again = store.record_event(told(), 2, [draft("a"), draft("b")])
    assert new and not new_again and again == first == store.recorded(told())
    assert store.recorded(told(event="end")) == []


def test_an_event_stored_again_with_other_content_is_a_conflict_and_uses_no_number(store):
    store.record_event(told(), 1, [draft()])
    with pytest.raises(Conflict):
        store.record_event(told(text="other"), 1, [draft()])
    with pytest.raises(Conflict):
        store.recorded(told(text="other"))
    records, _ = store.record_event(told(event="end"), 1, [draft()])
    assert records[0].seq == 2


def test_a_record_that_cannot_be_signed_leaves_nothing_behind(store):
    def build(seq):
        raise ValueError("no key")

    with pytest.raises(ValueError, match="no key"):
        store.record_event(told(), 1, [draft(), Draft("b", (), 5, build)])
    assert store.recorded(told()) == []
    records, _ = store.record_event(told(), 1, [draft()])
    assert records[0].seq == 1


def test_the_outbox_gives_the_oldest_first_until_acknowledged(store):
    for due_ms in (1, 2, 3):
        store.record_due(due_ms, draft())
    waiting = store.undelivered("flexmarkt", 0, 10)
    assert [record.seq for record in waiting] == [1, 2, 3]
    store.delivered([waiting[0].record_id], "flexmarkt", 99)
    assert [record.seq for record in store.undelivered("flexmarkt", 0, 10)] == [2, 3]
    after = waiting[1].record_id
    assert [record.seq for record in store.undelivered("flexmarkt", after, 10)] == [3]
    assert store.undelivered("other", 0, 10) == [] and store.undelivered_count() == 2


def test_original_readings_come_back_and_are_bounded(store, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.store.MAX_READINGS", 50)
    values = (Value("1-0:1.8.0*255", 7, -1, 30),)
    readings = [OriginalReading("1EMH0098765432", at, values, 4, b"raw") for at in range(200)]
    for reading in readings:
        store.add_readings([("odd", reading), ("even", reading)])
    for meter in ("odd", "even"):
        assert store.readings_since(meter, 195) == readings[195:]
        assert len(store.readings_since(meter, 0)) <= 50 + TRIM_EVERY


def test_log_numbers_go_on_when_old_entries_are_dropped(store, monkeypatch):
    monkeypatch.setattr("clsbench.smgw.store.MAX_SYSTEM_LOG", 3)
    for number in range(1, 6):
        added = store.add_log(SYSTEM_LOG, number, "INFO", "e", "SUCCESS", "s", "m")
        assert added == number
    assert store.add_log("calibration", 9, "INFO", "e", "SUCCESS", "s", "m") == 1
    assert [entry.number for entry in store.read_log(SYSTEM_LOG)] == [3, 4, 5]
    assert [entry.number for entry in store.read_log(SYSTEM_LOG, 4)] == [4, 5]


def test_a_command_is_opened_once_and_its_first_answer_stands(store):
    exchange = Exchange(store)
    assert exchange.open_command(command(), 1).state == OPEN
    exchange.answer_command("c1", Answer(0, 7, "done"), 2)
    exchange.answer_command("c1", Answer(5, None, "late"), 3)
    again = exchange.open_command(command(), 4)
    assert (again.state, again.answer) == (ANSWERED, Answer(0, 7, "done"))


def test_an_expired_command_is_opened_again_by_the_same_content_only(store):
    exchange = Exchange(store)
    exchange.open_command(command(), 1)
    assert exchange.expire_open_commands() == 1
    assert exchange.open_command(command(text="x"), 2).state == EXPIRED
    assert exchange.open_command(command(text="x"), 2).command == command()
    assert exchange.open_command(command(), 3).state == OPEN


def test_an_expired_command_can_still_be_answered_and_an_answered_one_not_expire(store):
    exchange = Exchange(store)
    exchange.open_command(command(), 1)
    exchange.expire_command("c1")
    assert exchange.command("c1").state == EXPIRED
    exchange.answer_command("c1", Answer(0, 7, "late"), 2)
    exchange.expire_command("c1")
    assert exchange.command("c1").state == ANSWERED
    assert exchange.command("c1").answer == Answer(0, 7, "late")


def test_a_second_process_on_the_same_state_is_refused(state, store, monkeypatch):
    monkeypatch.setattr("clsbench.store.database.LOCK_WAIT_S", 0.1)
    with pytest.raises(EnvironmentProblem, match="in use"):
        Store(state)


def test_an_older_database_is_brought_forward_and_a_newer_one_refused(tmp_path):
    path = tmp_path / "db.sqlite"
    schema.open_database(path, ("CREATE TABLE a (x)",)).close()
    newer = ("CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y")
    database = schema.open_database(path, newer)
    assert database.execute("SELECT x, y FROM a").fetchall() == []
    database.close()
    with pytest.raises(EnvironmentProblem, match="schema version 2"):
        schema.open_database(path, newer[:1])


def test_a_migration_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "db.sqlite"
    with pytest.raises(EnvironmentProblem):
        schema.open_database(path, ("CREATE TABLE a (x); CREATE TABLE a (x)",))
    found = sqlite3.connect(path).execute("SELECT name FROM sqlite_master").fetchall()
    assert found == []


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / schema.FILE_NAME).write_bytes(b"no database, but long enough to be read" * 99)
    with pytest.raises(EnvironmentProblem, match=schema.FILE_NAME):
        Store(tmp_path)


def test_a_commit_is_on_the_disk_before_it_returns(tmp_path):
    store = Store(tmp_path)
    assert store.database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store.database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


WRITER = """
import sys, uuid
from pathlib import Path
from clsbench.smgw.core.taf16 import Announcement
from clsbench.smgw.store import Draft, Store

place = sys.argv[1]
store = Store(place if "://" in place else Path(place))
print("open", flush=True)
while True:
    told = Announcement(str(uuid.uuid4()), "C", "begin", "", 1, None, "han")
    draft = Draft("taf16", ("emt",), 1, lambda seq: (b"%d" % seq, b"cms"))
    records, _ = store.record_event(told, 1, [draft])
    number = store.add_log("calibration", 1, "INFO", "e", "SUCCESS", "s", "m")
    print(records[0].seq, number, flush=True)
"""


def killed_writer(state: Path | str, lines: int, after_s: float) -> list[tuple[int, int]]:
    """What a writer said it had committed before SIGKILL: (record seq, log number).

    It is killed so long after it said so many lines.
    """
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(state)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        said = [writer.stdout.readline() for _ in range(lines)]
        time.sleep(after_s)
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().split("\n")[:-1]
    return [(int(a), int(b)) for a, b in (line.split() for line in said)]


def test_a_writer_killed_at_any_instant_loses_nothing_and_uses_no_number_twice(state):
    instants = random.Random(16)
    last_seq = last_number = committed = 0
    kills = KILLS if isinstance(state, Path) else KILLS_OF_A_SERVERS_CLIENT
    for _ in range(kills):
        said = killed_writer(state, instants.randrange(4), instants.uniform(0.0, 0.02))
        committed += len(said)
        store = Store(state)
        seqs = [
            json.loads(content)
            for (content,) in store.database.execute(
                "SELECT content FROM gateway_records ORDER BY id"
            )
        ]
        numbers = [entry.number for entry in store.read_log("calibration", limit=10**6)]
        store.close()
        assert seqs == list(range(1, len(seqs) + 1))
        assert numbers == list(range(1, len(numbers) + 1))
        # at most the one that was committed but not yet said is more than was said
        told_seq, told_number = said[-1] if said else (last_seq, last_number)
        assert told_seq <= len(seqs) <= told_seq + 1
        assert told_number <= len(numbers) <= told_number + 1
        if said:
            assert said[0] == (last_seq + 1, last_number + 1)
        last_seq, last_number = len(seqs), len(numbers)
    assert committed > kills
