"""Profiles that hang together, and what they allow whom: all else is refused with a status."""

from dataclasses import dataclass, replace

import pytest
from smgw_core_kit import CLS, METER, OTHER_CLS, SILENT_CLS, TAF7, TAF16

from clsbench.errors import BadInput
from clsbench.smgw.core import rights
from clsbench.smgw.core.parties import Ha1
from clsbench.smgw.core.profiles import (
    ClsProfile,
    ConsumerProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    Profiles,
    ServiceProfile,
)
from clsbench.smgw.core.rights import Grant, LoggedIn, Refusal, Rights, Target
from clsbench.smgw.core.validity import Validity

HAN_ONLY = replace(TAF16, profile_id="taf16-han", wan_source=False)
TAF10 = replace(TAF7, profile_id="taf10", number=10, modes=("on-demand",))
FOREIGN = replace(TAF16, profile_id="taf16-other", emt="other", event_sources=(CLS,))


def profiles(**changed) -> Profiles:
    content = {
        "smgw_id": "ETST0010000001",
        "meters": (MeterProfile(METER),),
        "tafs": (TAF16, HAN_ONLY, FOREIGN, TAF7, TAF10),
        "cls": tuple(ClsProfile(i, f"print of {i}") for i in (CLS, OTHER_CLS, SILENT_CLS)),
        "emts": (
            EmtProfile("flexmarkt", Endpoint("h", 1), Endpoint("h", 2), (CLS, SILENT_CLS)),
            EmtProfile("other", Endpoint("h", 3), Endpoint("h", 4), (CLS,)),
        ),
    }
    return Profiles(**(content | changed))


@dataclass(frozen=True)
class Who:
    role: str
    name: str
    fingerprint: str = ""


BOX = Who("CLS", CLS, f"print of {CLS}")
GWA = Who("GWA", "gwa-test")
EMT = Who("EMT", "flexmarkt")


def decide(who, action, **target):
    return Rights(profiles(), "gwa-test").decide(who, action, Target(**target))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"tafs": (replace(TAF16, emt="nobody"),)}, "taf profile 'taf16': emt 'nobody'"),
        ({"tafs": (replace(TAF16, meter_id="1X"),)}, "taf profile 'taf16': meter_id '1X'"),
        ({"tafs": (replace(TAF16, event_sources=("E",)),)}, "'taf16': event_sources 'E'"),
        ({"tafs": (replace(TAF16, event_sources=()),)}, "'taf16': event_sources is empty"),
        ({"tafs": (replace(TAF7, wan_source=True),)}, "'taf7': wan_source"),
        ({"tafs": (replace(TAF7, number=8),)}, "'taf7': number 8"),
        ({"tafs": (TAF7, TAF7)}, "'taf7': profile_id is used twice"),
        ({"cls": ()}, "emt profile 'flexmarkt': cls_ids"),
    ],
)
def test_a_wrong_reference_is_refused_naming_profile_and_field(changed, named):
    with pytest.raises(BadInput, match=named):
        profiles(**changed)


ALLOWED = [
    (BOX, rights.READ_TIME, {}),
    (BOX, rights.FETCH_COMMAND, {}),
    (BOX, rights.ANSWER_COMMAND, {}),
    (BOX, rights.DELIVER_RECORDS, {}),
    (BOX, rights.ANNOUNCE_EVENT, {"cls_id": CLS}),
    (GWA, rights.CONNECT, {"emt": "flexmarkt"}),
    (GWA, rights.DISCONNECT, {"emt": "flexmarkt"}),
    (GWA, rights.READ_STATUS, {}),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16"}),
    (EMT, rights.SIGNAL_EVENT, {"cls_id": CLS, "taf_profile": "taf16"}),
    (EMT, rights.FETCH_STATE, {"taf_profile": "taf10"}),
]


REFUSED = [
    (BOX, rights.ANNOUNCE_EVENT, {"cls_id": OTHER_CLS}, 403),
    (replace(BOX, fingerprint="strange"), rights.READ_TIME, {}, 403),
    (replace(BOX, name=OTHER_CLS), rights.READ_TIME, {}, 403),
    (replace(BOX, role="SMGW"), rights.READ_TIME, {}, 403),
    (Who("CLS", SILENT_CLS, f"print of {SILENT_CLS}"), rights.ANNOUNCE_EVENT, {}, 403),
    (GWA, rights.CONNECT, {"emt": "nobody"}, 404),
    (GWA, rights.CONNECT, {}, 404),
    (replace(GWA, name="gwa-other"), rights.CONNECT, {"emt": "flexmarkt"}, 403),
    (replace(GWA, name="gwa-other"), rights.READ_STATUS, {}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": "ETST0020000099", "taf_profile": "taf16"}, 404),
    (EMT, rights.COMMAND_CLS, {"cls_id": OTHER_CLS, "taf_profile": "taf16"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": SILENT_CLS, "taf_profile": "taf16"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16-han"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16-other"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf7"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "unheard-of"}, 403),
    (EMT, rights.COMMAND_CLS, {"cls_id": CLS}, 403),
    (EMT, rights.FETCH_STATE, {"taf_profile": "taf7"}, 403),
    (Who("EMT", "other"), rights.FETCH_STATE, {"taf_profile": "taf10"}, 403),
    (Who("EMT", "stranger"), rights.FETCH_STATE, {"taf_profile": "taf10"}, 403),
    (Who("EMT", "stranger"), rights.COMMAND_CLS, {"cls_id": CLS, "taf_profile": "taf16"}, 403),
]


@pytest.mark.parametrize(("who", "action", "target"), ALLOWED)
def test_what_a_profile_allows_is_granted(who, action, target):
    assert isinstance(decide(who, action, **target), Grant)


@pytest.mark.parametrize(("who", "action", "target", "http_status"), REFUSED)
def test_what_no_profile_allows_is_refused_with_its_status(who, action, target, http_status):
    verdict = decide(who, action, **target)
    assert isinstance(verdict, Refusal)
    assert verdict.http_status == http_status and verdict.reason


def test_an_action_of_another_role_is_refused():
    granted = {(who.role, action) for who, action, _ in ALLOWED}
    actions = {action for _, action in granted}
    target = {"cls_id": CLS, "taf_profile": "taf16", "emt": "flexmarkt"}
    for who in (BOX, GWA, EMT, Who("SMGW", "ETST0010000001")):
        for action in actions | {"unheard-of"}:
            if (who.role, action) not in granted:
                assert isinstance(decide(who, action, **target), Refusal), (who, action)


def test_an_event_is_granted_for_every_profile_that_names_its_source():
    grant = decide(BOX, rights.ANNOUNCE_EVENT, cls_id=CLS)
    assert isinstance(grant, Grant)
    assert grant.tafs == (TAF16, HAN_ONLY, FOREIGN)


NOW = 1_800_000_000_000
PAST = Validity(0, NOW - 1)
PEOPLE = {
    "consumers": (
        ConsumerProfile("consumer1", login="c1", ha1=Ha1("p"), fingerprint="con-print"),
        ConsumerProfile("consumer2", fingerprint="con2-print"),
        ConsumerProfile("consumer3", login="c3", validity=PAST),
    ),
    "services": (ServiceProfile("tech", login="tech"),),
}
TAF7_OF_2 = replace(TAF7, profile_id="taf7-2", final_consumer="consumer2")
CON, CON2 = LoggedIn("CON", "consumer1"), Who("CON", "consumer2", "con2-print")
SRV = LoggedIn("SRV", "tech")


def decide_for_people(who, action, **target):
    tafs = (TAF16, HAN_ONLY, FOREIGN, TAF7, TAF7_OF_2)
    all_profiles = profiles(tafs=tafs, **PEOPLE)
    return Rights(all_profiles, "gwa-test", lambda: NOW).decide(who, action, Target(**target))


@pytest.mark.parametrize(
    ("who", "action", "target"),
    [
        (CON, rights.READ_INFO, {}),
        (CON, rights.READ_READINGS, {"taf_profile": "taf7"}),
        (CON, rights.READ_METER, {"meter": METER}),
        (CON, rights.READ_LOG, {"log": "consumer/consumer1"}),
        (CON, rights.READ_LOG, {"log": "calibration"}),
        (Who("CON", "consumer1", "con-print"), rights.READ_PROFILE, {"taf_profile": "taf16"}),
        (CON2, rights.READ_READINGS, {"taf_profile": "taf7-2"}),
        (SRV, rights.READ_LOG, {"log": "system"}),
        (SRV, rights.SELF_TEST, {}),
        (GWA, rights.READ_LOG, {"log": "system"}),
    ],
)
def test_people_see_what_is_theirs(who, action, target):
    assert isinstance(decide_for_people(who, action, **target), Grant)


@pytest.mark.parametrize(
    ("who", "action", "target", "http_status"),
    [
        (CON, rights.READ_READINGS, {"taf_profile": "taf7-2"}, 404),
        (CON, rights.READ_READINGS, {"taf_profile": "unheard-of"}, 404),
        (CON, rights.READ_METER, {"meter": "1X"}, 404),
        (CON, rights.READ_LOG, {"log": "consumer/consumer2"}, 403),
        (CON, rights.READ_LOG, {"log": "system"}, 403),
        (CON, rights.READ_LOG, {}, 403),
        (Who("CON", "consumer1", "con2-print"), rights.READ_INFO, {}, 403),
        (LoggedIn("CON", "consumer2"), rights.READ_INFO, {}, 403),  # by certificate only
        (LoggedIn("CON", "consumer3"), rights.READ_INFO, {}, 403),  # past its validity
        (LoggedIn("CON", "tech"), rights.READ_INFO, {}, 403),
        (SRV, rights.READ_READINGS, {"taf_profile": "taf7"}, 403),
        (SRV, rights.READ_LOG, {"log": "consumer/consumer1"}, 403),
        (GWA, rights.READ_LOG, {"log": "consumer/consumer1"}, 403),
        (GWA, rights.READ_READINGS, {"taf_profile": "taf7"}, 403),
        (EMT, rights.READ_READINGS, {"taf_profile": "taf7"}, 403),
    ],
)
def test_people_see_nothing_else(who, action, target, http_status):
    verdict = decide_for_people(who, action, **target)
    assert isinstance(verdict, Refusal)
    assert verdict.http_status == http_status and verdict.reason


@pytest.mark.parametrize(
    "changed",
    [
        {"tafs": (replace(TAF16, validity=PAST),)},
        {"cls": (ClsProfile(CLS, f"print of {CLS}", PAST), ClsProfile(OTHER_CLS, "b"))},
        {"emts": (replace(profiles().emts[0], cls_ids=(CLS,), external_events=False),)},
        {"emts": (replace(profiles().emts[0], cls_ids=(CLS,), validity=PAST),)},
    ],
)
def test_a_profile_not_in_force_allows_nothing(changed):
    content = {"tafs": (TAF16,), "emts": (replace(profiles().emts[0], cls_ids=(CLS,)),)}
    authority = Rights(profiles(**(content | changed)), "gwa-test", lambda: NOW)
    target = Target(cls_id=CLS, taf_profile="taf16")
    who, action = (EMT, rights.COMMAND_CLS) if "emts" in changed else (BOX, rights.ANNOUNCE_EVENT)
    assert isinstance(authority.decide(who, action, target), Refusal)


def test_allowed_tells_every_refusal_and_no_grant():
    told = []
    authority = Rights(profiles(), "gwa-test", refused=lambda *what: told.append(what))
    assert isinstance(authority.allowed(GWA, rights.READ_STATUS), Grant) and not told
    verdict = authority.allowed(EMT, rights.READ_STATUS)
    assert told == [(EMT, rights.READ_STATUS, rights.NOTHING, verdict)]
