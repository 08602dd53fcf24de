"""Profiles that hang together, and what they allow whom: all else is refused with a status."""

from dataclasses import dataclass, replace

import pytest
from smgw_core_kit import CLS, METER, OTHER_CLS, SILENT_CLS, TAF7, TAF16

from clsbench.errors import BadInput
from clsbench.smgw.core import rights
from clsbench.smgw.core.profiles import (
    ClsProfile,
    EmtProfile,
    Endpoint,
    MeterProfile,
    Profiles,
)
from clsbench.smgw.core.rights import Grant, Refusal, Rights, Target

HAN_ONLY = replace(TAF16, profile_id="taf16-han", wan_source=False)
FOREIGN = replace(TAF16, profile_id="taf16-other", emt="other", event_sources=(CLS,))


def profiles(**changed) -> Profiles:
    content = {
        "smgw_id": "ETST0010000001",
        "meters": (MeterProfile(METER),),
        "tafs": (TAF16, HAN_ONLY, FOREIGN, TAF7),
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
