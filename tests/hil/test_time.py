"""Legal time on the device: taken from outside, with a bound, and never claimed when unsure."""

from dicamm import codes

UNSET, SYNCHRONISED, HOLDOVER = 0, 1, 2
LIMIT_MS = 27_000  # 3 % of a quarter hour


def test_time_once_given_runs_on_within_its_bound(bench, board):
    board.sleep(2)
    before_ms = bench.utc_ms()
    time = bench.link.status()["time"]
    after_ms = bench.utc_ms()
    assert time["state"] == SYNCHRONISED
    slack_ms = time["bound_ms"] + 20
    assert before_ms - slack_ms <= time["utc_ms"] <= after_ms + slack_ms


def test_after_a_start_time_is_unset_and_records_say_so(bench, board):
    board.reset()
    bench.greet()
    bench.status_when(lambda status: status["meter"]["healthy"])
    assert bench.link.status()["time"]["state"] == UNSET
    uuid = bench.transaction()
    for record in bench.records_of(uuid):
        assert record.time_state == "unset" and record.captured_ms is None
    bench.set_time()
    assert bench.link.status()["time"]["state"] == SYNCHRONISED


def test_a_clock_left_alone_goes_into_holdover_and_records_say_so(bench, board):
    bench.utc_shift_ms += 60_000  # beyond what the device's clock allows: it is set anew
    bench.set_time(bound_ms=LIMIT_MS - 10)
    assert bench.link.status()["time"]["state"] == SYNCHRONISED
    left = bench.status_when(lambda status: status["time"]["state"] == HOLDOVER, 20)
    assert left["time"]["bound_ms"] >= LIMIT_MS
    uuid = bench.transaction()
    assert {record.time_state for record in bench.records_of(uuid)} == {"holdover"}
    board.sleep(0.5)  # the device looks at its clock five times a second
    bench.set_time()
    assert bench.link.status()["time"]["state"] == SYNCHRONISED
    states = [entry[2][0] for entry in bench.link.logs() if entry[1] == codes.TIME_STATE]
    assert states[-2:] == [HOLDOVER, SYNCHRONISED]
