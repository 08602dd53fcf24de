"""The seven steps of a switching: what is told, and how a standing channel's steps are found."""

from click.testing import CliRunner

from clsbench import steps
from clsbench.cli.emt_show import steps as command
from clsbench.clock import BenchClock
from clsbench.errors import BadInput
from clsbench.eventlog import EventLog, read_events

CLOCK = BenchClock()
A, B = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
BOX = {"via": "channel", "emt_id": "flexmarkt", "cls_id": "ETST0020000017"}
GATEWAY = {"emt_id": "flexmarkt", "smgw_id": "ETST0010000001"}


def log_of(path, *told):
    """A log with these steps in order: (number, uuid, detail), a failed one with ok False."""
    log = EventLog(path, CLOCK, "test")
    for number, uuid, detail in told:
        ok = detail.pop("ok", True)
        steps.tell_step(log, number, "aEMT", "SMGW", uuid, ok=ok, **detail)
    log.close()
    return path


def course(path, uuid):
    """Numbers of the steps of a transaction; those done for the channel before, negative."""
    found = steps.steps_of(read_events(path))[uuid]
    return [s["detail"]["step"] * (-1 if steps.EARLIER in s else 1) for s in found]


def own(uuid, where, *numbers):
    return [(number, uuid, dict(where)) for number in numbers]


def test_a_switching_that_has_its_channel_opened_did_all_seven_itself(tmp_path):
    path = log_of(tmp_path / "e", *own(A, BOX | {"opened_by": "emt"}, *range(1, 8)))
    assert course(path, A) == [1, 2, 3, 4, 5, 6, 7]


def test_a_standing_channel_brings_the_steps_that_opened_it(tmp_path):
    by_emt = BOX | {"opened_by": "emt"}
    path = log_of(tmp_path / "e", *own(A, by_emt, *range(1, 8)), *own(B, BOX, 1, 2, 7))
    assert course(path, B) == [1, 2, -3, -4, -5, -6, 7]


def test_a_channel_that_the_box_opened_was_requested_by_nobody(tmp_path):
    opening = own(None, BOX | {"opened_by": "cls"}, 4, 5, 6)
    path = log_of(tmp_path / "e", *opening, *own(A, BOX, 1, 2, 7))
    assert course(path, A) == [1, 2, -4, -5, -6, 7]


def test_a_channel_opened_while_the_command_waits_for_it_counts(tmp_path):
    opening = own(None, BOX | {"opened_by": "cls"}, 4, 5, 6)
    path = log_of(tmp_path / "e", *own(A, BOX, 1, 2), *opening, *own(A, BOX, 7))
    assert course(path, A) == [1, 2, -4, -5, -6, 7]


def test_channels_of_others_and_failed_ones_do_not_count(tmp_path):
    other_box = BOX | {"cls_id": "ETST0020000018", "opened_by": "cls"}
    other_emt = BOX | {"emt_id": "netz", "opened_by": "cls"}
    failed = [(5, None, BOX | {"ok": False})]
    path = log_of(
        tmp_path / "e",
        *own(None, other_box, 4, 5, 6),
        *own(None, other_emt, 4, 5, 6),
        *failed,
        *own(A, BOX, 1, 2, 7),
    )
    assert course(path, A) == [1, 2, 7]


def test_through_the_gateway_rights_are_checked_for_each_command(tmp_path):
    path = log_of(
        tmp_path / "e",
        *own(A, GATEWAY, 1, 2, 3, 4, 5, 4, 6, 7),
        *own(A, GATEWAY, 1, 2, 4, 6, 7),
    )
    assert course(path, A) == [1, 2, 3, 4, 5, 4, 6, 7, 1, 2, -3, -5, 4, 6, 7]


def test_logs_of_each_role_are_read_together_and_what_is_none_is_named(tmp_path):
    emt = log_of(tmp_path / "emt", *own(A, BOX, 1, 2, 7))
    smgw = log_of(tmp_path / "smgw", *own(None, BOX | {"opened_by": "smgw"}, 4, 5, 6))
    found = CliRunner().invoke(command, [str(emt), str(smgw)])
    assert found.exit_code == 0, found.output
    assert "proxy provided" not in found.output  # opened after the command was done
    found = CliRunner().invoke(command, [str(smgw), str(emt), "--uuid", A.upper()])
    assert found.exit_code == 0 and "command raised" in found.output
    none = CliRunner().invoke(command, [str(emt), "--uuid", B])
    assert isinstance(none.exception, BadInput) and "no step of" in str(none.exception)
    (tmp_path / "toml").write_text("[emt]\n")
    wrong = CliRunner().invoke(command, [str(tmp_path / "toml")])
    assert isinstance(wrong.exception, BadInput) and "is no event" in str(wrong.exception)
