"""The event log: whole lines whoever writes, nothing read twice or half, raw bytes bounded."""

import json
import subprocess
import sys
import threading

import pytest

from clsbench.clock import BenchClock
from clsbench.eventlog import KINDS, LANES, MAX_RAW_BYTES, EventLog, EventReader, read_events

CLOCK = BenchClock(utc_ms=1_777_882_500_000)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def log(path):
    log = EventLog(path, CLOCK, "test")
    yield log
    log.close()


def tell(log, name="a.name", **more):
    log.event("SMGW", "DICAMM", "message", name, **more)


def test_an_event_is_one_line_with_every_field(log, path):
    tell(log, "command.in", uuid="u-1", ok=False, detail={"n_ms": 5}, raw=b"\x01\xff", t_ns=7)
    (line,) = path.read_text(encoding="utf-8").splitlines()
    event = json.loads(line)
    assert event.pop("id").startswith("test-")
    assert event == {
        "t_ns": 7,
        "lane_from": "SMGW",
        "lane_to": "DICAMM",
        "kind": "message",
        "uuid": "u-1",
        "name": "command.in",
        "ok": False,
        "detail": {"n_ms": 5},
        "raw": "01ff",
    }


def test_what_is_not_given_has_its_meaning(log, path):
    before = CLOCK.now_ns()
    tell(log)
    (event,) = read_events(path)
    assert (event["uuid"], event["ok"], event["detail"], event["raw"]) == (None, True, {}, None)
    assert before <= event["t_ns"] <= CLOCK.now_ns()


def test_no_bytes_are_told_from_none(log, path):
    tell(log, raw=b"")
    assert next(read_events(path))["raw"] == ""


def test_raw_bytes_are_kept_up_to_their_limit(log, path):
    tell(log, raw=bytes(MAX_RAW_BYTES) + b"\x01")
    assert next(read_events(path))["raw"] == "00" * MAX_RAW_BYTES


@pytest.mark.parametrize(
    ("lane_from", "lane_to", "kind"),
    [("smgw", "GWA", "state"), ("GWA", "", "state"), ("GWA", "GWA", "news")],
)
def test_an_unknown_lane_or_kind_is_refused_and_not_written(log, path, lane_from, lane_to, kind):
    with pytest.raises(ValueError, match=r"event x: lane or kind unknown"):
        log.event(lane_from, lane_to, kind, "x")
    assert path.read_bytes() == b""


def test_every_lane_and_kind_is_taken(log, path):
    for lane in LANES:
        for kind in KINDS:
            log.event(lane, "operator", kind, "x")
    assert len(list(read_events(path))) == len(LANES) * len(KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "line\nfeed\r\nand\x0bmore\x85\u2028\u2029",
        '"quotes" \\ and }',
        "Überschuss €\U0001f50c",
        "\x00\x1b[31m",
        "half a character \ud83d",
    ],
)
def test_any_text_comes_back_as_it_went(log, path, text):
    tell(log, text, uuid=text, detail={text: text})
    assert path.read_bytes().count(b"\n") == 1
    (event,) = EventReader(path).poll()
    assert (event["name"], event["uuid"], event["detail"]) == (text, text, {text: text})


def test_the_file_is_utf_8_whatever_is_told(log, path):
    tell(log, "half \udfff of Überschuss")
    assert "Überschuss" in path.read_text(encoding="utf-8")


def test_numbers_of_one_writer_are_consecutive_and_of_two_writers_differ(path):
    logs = [EventLog(path, CLOCK, name) for name in ("one", "two")]
    for _ in range(3):
        for log in logs:
            tell(log)
    ids = [event["id"] for event in EventReader(path).poll()]
    assert len(set(ids)) == 6
    assert [i.rsplit("-", 1)[1] for i in ids if i.startswith("one-")] == ["1", "2", "3"]


def test_an_existing_log_is_carried_on(path):
    for name in ("first", "second"):
        log = EventLog(path, CLOCK, "test")
        tell(log, name)
        log.close()
    assert [event["name"] for event in EventReader(path).poll()] == ["first", "second"]


def test_without_a_file_events_are_dropped_but_still_checked():
    log = EventLog(None, CLOCK, "test")
    tell(log)
    with pytest.raises(ValueError, match="unknown"):
        log.event("x", "GWA", "state", "x")
    log.close()


def test_after_closing_events_are_dropped(log, path):
    tell(log, "kept")
    log.close()
    tell(log, "dropped")
    log.close()
    assert [event["name"] for event in EventReader(path).poll()] == ["kept"]


WRITER = """
import sys
from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog
log = EventLog(sys.argv[1], BenchClock(), sys.argv[2])
print(flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    text = sys.argv[2] * (number * 37 % 3000)
    log.event("SMGW", "GWA", "message", "x", detail={"n": number, "text": text}, raw=bytes(number))
"""


def test_writers_in_several_processes_give_whole_lines(path):
    """All start at once; lines of up to 10 kB; each process's events are all there, in order."""
    count, names = 300, ("a", "b", "c", "d")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    for writer in writers:
        writer.stdout.readline()
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    events = EventReader(path).poll()
    assert len({event["id"] for event in events}) == len(names) * count
    for name in names:
        own = [event for event in events if event["id"].startswith(f"{name}-")]
        assert [event["detail"]["n"] for event in own] == list(range(count))
        for event in own:
            assert event["detail"]["text"] == name * (event["detail"]["n"] * 37 % 3000)


def test_writers_in_several_threads_give_whole_lines_with_numbers_of_their_own(log, path):
    def write():
        for _ in range(200):
            tell(log, raw=bytes(500))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = [int(event["id"].rsplit("-", 1)[1]) for event in EventReader(path).poll()]
    assert sorted(numbers) == list(range(1, 801))


def test_a_reader_gives_each_event_once_and_waits_for_the_end_of_a_line(path):
    reader = EventReader(path)
    assert reader.poll() == []  # there is no file yet
    path.write_bytes(b'{"n": 1}\n{"n": 2}\n{"n"')
    assert reader.poll() == [{"n": 1}, {"n": 2}]
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(b": 3}\n")
    assert reader.poll() == [{"n": 3}]
    assert reader.poll() == []


def test_a_character_cut_in_two_does_no_harm(path):
    line = '{"n": "ü€"}\n'.encode()
    for cut in range(len(line)):
        path.write_bytes(line[:cut])
        reader = EventReader(path)
        assert reader.poll() == []
        path.write_bytes(line)
        assert reader.poll() == [{"n": "ü€"}]


def test_a_finished_log_is_read_in_order_of_time_and_else_of_the_file(log, path):
    for name, t_ns in (("late", 9), ("early", 1), ("same, first", 5), ("same, second", 5)):
        tell(log, name, t_ns=t_ns)
    names = [event["name"] for event in read_events(path)]
    assert names == ["early", "same, first", "same, second", "late"]
