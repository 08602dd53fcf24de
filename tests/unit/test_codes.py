"""The device's numbers and the host's texts for them belong together."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicamm import code_texts, codes
from dicamm.code_texts import CODES, describe, entry
from dicamm.metering import record
from dicamm.proto import modbus_pdu

CONSTANTS = {name: number for name, number in vars(codes).items() if name.isupper()}
GROUPS = ((0, 0), (1, 19), (20, 39), (40, 49), (50, 59), (60, 69), (70, 79), (80, 89))

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.binary(), st.lists(st.integers())
)


def test_every_constant_has_a_text_under_its_own_name():
    assert {number: name for name, number in CONSTANTS.items()} == {
        number: name for number, (name, _, _) in CODES.items()
    }


def test_no_number_is_given_twice():
    assert len(set(CONSTANTS.values())) == len(CONSTANTS)
    assert len({name for name, _, _ in CODES.values()}) == len(CODES)


def test_every_number_lies_in_a_documented_group():
    for name, number in CONSTANTS.items():
        assert any(first <= number <= last for first, last in GROUPS), name


@pytest.mark.parametrize(("name", "severity", "text"), CODES.values())
def test_text_is_a_clause_with_well_formed_places(name, severity, text):
    assert severity in (code_texts.INFO, code_texts.WARNING, code_texts.FAULT)
    assert text and not text.endswith(".") and text[0] in "abcdefghijklmnopqrstuvwxyz{"
    bare = re.sub(r"\{[a-z_]+(\|[a-z?-]+( [a-z-]+)*)*\}", "", text)
    assert "{" not in bare and "}" not in bare
    assert re.sub(r"\[[^\[\]]*\]", "", bare).count("[") == 0


def test_refusals_and_meter_codes_read_well_without_arguments():
    # an answer to a command carries the code alone
    for number in CODES:
        if number < codes.HAN_CONNECTION:
            assert "?" not in describe(number)


def test_arguments_are_filled_in():
    assert describe(codes.METER_TIMEOUT, [3]) == "the meter did not answer (3 in a row)"
    assert describe(codes.METER_TIMEOUT) == "the meter did not answer"
    assert describe(codes.ANNOUNCED, [12, 7]).endswith("record 12 announced, gateway record 7")
    assert describe(codes.TASK_RESTARTED, ["meter", "OSError(5,)"]) == (
        "task meter restarted after OSError(5,)"
    )


def test_numbers_of_a_closed_list_are_shown_by_name():
    assert describe(codes.TIME_STATE, [1, 500]) == "legal time is synchronised, within 500 ms"
    assert describe(codes.TIME_STATE, [9]) == "legal time is 9"
    assert describe(codes.BOOTED, [3, 17]) == "started after watchdog, newest record 17"


def test_event_names_are_those_of_the_record():
    for number, name in record.EVENT_NAMES.items():
        assert describe(codes.RECORDED, [number, 5]) == f"{name} recorded, record 5"


def test_missing_and_surplus_arguments_do_no_harm():
    assert describe(codes.ANNOUNCED, [12]).endswith("record 12 announced, gateway record ?")
    assert describe(codes.METER_LOST, [7, "why", b"\x01\xff"]) == (
        "the meter counts as failed [7, why, 01ff]"
    )
    assert describe(codes.HAN_SILENT, [0]) == "the gateway did not answer in time"


def test_unknown_code_is_shown_as_its_number():
    assert describe(999, [4]) == "code 999, unknown here [4]"
    assert entry(999)[:2] == ("CODE_999", code_texts.WARNING)


def test_control_characters_of_an_argument_do_not_reach_the_terminal():
    assert "\x1b" not in describe(codes.TASK_RESTARTED, ["\x1b[2J", "\r\n"])


@settings(max_examples=100)
@given(st.one_of(st.sampled_from(sorted(CODES)), st.integers()), st.lists(anything, max_size=4))
def test_any_code_with_any_arguments_is_one_printable_line(code, args):
    text = describe(code, args)
    assert text and not re.search(r"[\x00-\x1f\x7f-\x9f]", text)


def test_modbus_errors_map_by_meaning():
    for index, name in enumerate(modbus_pdu.ERROR_NAMES):
        expected = (
            codes.OK if name == "none" else CONSTANTS["METER_" + name.upper().replace(" ", "_")]
        )
        assert codes.from_modbus(index) == expected
