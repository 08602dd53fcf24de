"""The demo's checks: each holds on sound evidence, and fails on evidence doctored for it."""

from dataclasses import replace

import pytest
from demo_kit import (
    LOAD_W,
    SPANS,
    A,
    B,
    at_ms,
    device_fields,
    evidence,
    gateway_contents,
    gateway_records,
    history,
    outcome,
    sealed_chain,
    verdict,
    verify_signed,
)

from clsbench.demo.checks import compare_energy, run_checks, spread, wh

NAMES = [
    "device_records_verify",
    "gateway_records_verify",
    "sequences_gapless",
    "both_witnesses",
    "witnesses_agree",
    "quarter_hours_add_up",
    "registers_as_served",
    "load_only_commanded",
    "records_delivered",
    "foreign_cls_refused",
    "altered_record_detected",
    "altered_gateway_record_detected",
    "command_latency",
]
SOUND = {check.name: check for check in run_checks(evidence())}


def failing(name, **changed):
    """The detail of a check that held on sound evidence and must fail on this."""
    assert SOUND[name].ok
    check = verdict(name, **changed)
    assert not check.ok, check.detail
    return check.detail


def doctored(index, **changed):
    """Device records of which one has other fields, chain and seals made anew."""
    fields = device_fields()
    fields[index] |= {int(key[1:]): value for key, value in changed.items()}
    return sealed_chain(fields)


def of_import(raw):
    return [[bytes((1, 0, 1, 8, 0, 255)), raw, 1, 30]]


def test_every_check_holds_on_sound_evidence():
    assert list(SOUND) == NAMES
    assert [check for check in SOUND.values() if not check.ok] == []


def test_nothing_is_shown_by_no_evidence():
    """Without records no check may hold but those that need none."""
    nothing = evidence(device=[], gateway=[], history=[], outcome=outcome(commanded=[]))
    held = {check.name for check in run_checks(nothing) if check.ok}
    assert held == {"foreign_cls_refused"}


def test_a_broken_seal_fails():
    assert "record 3" in failing("device_records_verify", broken=["record 3: seal does not fit"])


def test_too_few_device_records_fail():
    assert "11 good" in failing("device_records_verify", device=sealed_chain(device_fields()[:11]))


def test_a_gateway_record_with_a_bad_signature_fails():
    records = gateway_records(gateway_contents())
    damaged = records[2].cms[:-1] + bytes([records[2].cms[-1] ^ 1])
    records[2] = replace(records[2], cms=damaged)
    assert "taf16-1 3: digest" in failing("gateway_records_verify", gateway=records)


def test_a_gateway_record_that_shows_other_than_what_is_signed_fails():
    records = gateway_records(gateway_contents())
    value = records[1].content["values"][0]
    shown = records[1].content | {"values": [value | {"raw": value["raw"] + 1}]}
    records[1] = replace(records[1], content=shown)
    assert "taf16-1 2: its content is not" in failing("gateway_records_verify", gateway=records)


@pytest.mark.parametrize(
    ("records", "named"),
    [
        (sealed_chain(device_fields())[:4] + sealed_chain(device_fields())[5:], "5 is missing"),
        (sealed_chain(device_fields())[1:], "begin with 2"),
        (
            sealed_chain(device_fields())[:6] + doctored(5, _12=1)[6:],
            "record 7 of ETST0020000017: does not link to record 6",
        ),
    ],
)
def test_device_records_with_a_gap_or_a_broken_link_fail(records, named):
    assert named in failing("sequences_gapless", device=records)


@pytest.mark.parametrize("witness", ["device", "gateway"])
def test_no_records_at_all_are_no_sequence(witness):
    failing("sequences_gapless", **{witness: []})


def test_a_hole_in_the_numbers_of_a_gateway_profile_fails():
    records = [r for r in gateway_records(gateway_contents()) if r.content["seq"] != 2]
    detail = failing("sequences_gapless", gateway=records)
    assert "taf16-1: numbers [1, 3, 4]" in detail and "taf7-1: numbers [1, 3]" in detail


def test_a_gateway_number_given_twice_fails():
    records = gateway_records(gateway_contents())
    assert "[1, 1, 2, 3, 4]" in failing("sequences_gapless", gateway=[records[0], *records])


@pytest.mark.parametrize("witness", ["device", "gateway"])
@pytest.mark.parametrize("event", ["begin", "end"])
def test_a_transaction_half_seen_by_a_witness_fails(witness, event):
    sound = evidence()
    if witness == "device":
        left = [r for r in sound.device if (r.uuid, r.event) != (B, event)]
    else:
        left = [
            r
            for r in sound.gateway
            if (r.content.get("uuid"), r.content.get("event")) != (B, event)
        ]
    assert failing("both_witnesses", **{witness: left}) == f"incomplete: ['{B}']"


def test_one_transaction_is_too_few():
    failing("both_witnesses", outcome=outcome(commanded=outcome().commanded[:1]))


def gateway_reading_more(dwh):
    """Gateway records whose end of A stands so much higher, or lower."""
    contents = gateway_contents()
    contents[1]["values"][0]["raw"] += dwh
    return gateway_records(contents)


def test_energies_that_differ_by_more_than_the_bound_fail():
    """A: 16 apart (1 s of 6 kW), bound 51 + 101: both edges, on either side."""
    for within in (168, -136):
        assert verdict("witnesses_agree", gateway=gateway_reading_more(within)).ok, within
    for beyond in (169, -137):
        failing("witnesses_agree", gateway=gateway_reading_more(beyond))


def test_energy_of_the_house_is_taken_off():
    more = gateway_reading_more(5000)
    failing("witnesses_agree", gateway=more)
    begin, end = (at_ms(minute) + 1000 for minute in SPANS[A])
    asked = []

    def house(from_ms, to_ms):
        asked.append((from_ms, to_ms))
        return 5000 if (from_ms, to_ms) == (begin, end) else 0

    check = verdict("witnesses_agree", gateway=more, house_dwh=house)
    assert check.ok and (begin, end) in asked
    assert check.detail.endswith("apart: 1.6 Wh of at most 15.2 Wh, 1.6 Wh of at most 15.2 Wh")
    compared = compare_energy(
        evidence(gateway=more, house_dwh=house), evidence(gateway=more).pairs[0]
    )
    assert (compared["others_dwh"], compared["difference_dwh"]) == (5000, -16)


def test_a_gateway_record_without_the_register_fails():
    contents = gateway_contents()
    contents[3]["values"] = []
    failing("witnesses_agree", gateway=gateway_records(contents))


def test_a_reading_without_time_fails():
    fields = device_fields()
    del fields[1][9]
    fields[1][11] = [0, None]
    failing("witnesses_agree", device=sealed_chain(fields))


def test_a_comparison_shows_every_figure_it_is_made_of():
    sound = evidence()
    assert compare_energy(sound, sound.pairs[0]) == {
        "device_dwh": 21_000,
        "gateway_dwh": 20_984,
        "others_dwh": 0,
        "difference_dwh": -16,
        "bound_dwh": 152,
        "bound_parts": {
            "begin_apart_ms": 1000,
            "begin_time_bound_ms": 20,
            "end_apart_ms": 1000,
            "end_time_bound_ms": 20,
            "latency_ms": 1000,
            "max_power_w": LOAD_W,
            "resolution_dwh": 101,
        },
        "ok": True,
    }


def test_a_register_that_falls_fails():
    assert "falls at [7]" in failing("quarter_hours_add_up", device=doctored(6, _8=of_import(20)))


def test_a_missing_quarter_hour_fails():
    fields = device_fields()
    del fields[4]  # the reading of 30 minutes
    detail = failing("quarter_hours_add_up", device=sealed_chain(fields))
    assert "no reading and no word of 2026-05-04T08:45:00.000Z" in detail


def test_a_quarter_hour_that_the_device_tells_it_missed_is_told():
    fields = device_fields()
    fields[4][8] = []
    check = verdict("quarter_hours_add_up", device=sealed_chain(fields))
    assert check.ok and check.detail.endswith("it missed 2026-05-04T08:45:00.000Z")
    assert verdict("registers_as_served", device=sealed_chain(fields)).ok


def test_two_readings_on_the_grid_are_a_quarter_hour():
    check = verdict("quarter_hours_add_up", device=sealed_chain(device_fields()[:3]))
    assert check.ok and check.detail.startswith("1 quarter hours: 1000.0 Wh in transactions")


def test_one_reading_on_the_grid_is_no_quarter_hour():
    fields = device_fields()[:2]
    assert "only 1" in failing("quarter_hours_add_up", device=sealed_chain(fields))


def test_quarter_hours_show_their_sum():
    assert SOUND["quarter_hours_add_up"].detail == (
        "7 quarter hours: 3600.0 Wh in transactions + 10.0 Wh rest = 3610.0 Wh, metered 3610.0 Wh"
    )


def test_a_register_the_meter_never_sent_fails():
    sound = evidence()
    detail = failing("registers_as_served", served_dwh=sound.served_dwh - {1_221_000})
    assert detail == "never sent: records [4, 5, 6]"  # the end of A and the quarter hour behind it


@pytest.mark.parametrize(
    "more",
    [
        [(at_ms(60), True, LOAD_W), (at_ms(61), False, 0)],  # nobody commanded it
        [(at_ms(104), True, 5)],  # still on at the end
    ],
)
def test_power_outside_the_commanded_spans_fails(more):
    assert "outside: [(" in failing("load_only_commanded", history=history() + more)


def test_power_that_outlasts_its_command_fails():
    told = history()
    told[2] = (at_ms(26) + 901, False, 0)  # the answer to the end came at 900
    failing("load_only_commanded", history=told)
    told[2] = (at_ms(26) + 900, False, 0)
    assert verdict("load_only_commanded", history=told).ok


def test_power_before_its_command_fails():
    told = history()
    told[1] = (at_ms(5) - 1, True, LOAD_W)
    failing("load_only_commanded", history=told)
    told[1] = (at_ms(5), True, LOAD_W)
    assert verdict("load_only_commanded", history=told).ok


def test_a_load_that_never_drew_power_fails():
    failing("load_only_commanded", history=[(at_ms(0), False, 0)])


def test_a_record_not_delivered_or_delivered_otherwise_fails():
    sound = evidence()
    short = {seq: sealed for seq, sealed in sound.delivered.items() if seq != 3}
    assert failing("records_delivered", delivered=short).endswith("[3]")
    other = sound.delivered | {5: sound.delivered[5] + b"\0"}
    assert failing("records_delivered", delivered=other).endswith("[5]")


def test_a_foreign_command_that_was_carried_out_fails():
    refusal = "NOT REFUSED: {'code': 0}"
    assert failing("foreign_cls_refused", outcome=outcome(refusal=refusal)) == refusal


def test_a_seal_that_covers_nothing_fails(monkeypatch):
    monkeypatch.setattr("clsbench.demo.checks.open_record", lambda sealed, key: None)
    failing("altered_record_detected")


def test_the_altered_digit_is_a_digit_of_the_register(monkeypatch):
    tried = []
    monkeypatch.setattr("clsbench.demo.checks.open_record", lambda *seen: tried.append(seen))
    fields = device_fields()
    fields[-1][8] = of_import(123_456)
    sound = evidence(device=sealed_chain(fields))
    run_checks(sound)
    ((altered, key),) = tried
    differing = [
        (at, a, b)
        for at, (a, b) in enumerate(zip(altered, sound.device[-1].sealed, strict=True))
        if a != b
    ]
    assert key == sound.key and len(differing) == 1
    at = differing[0][0]
    assert sound.device[-1].sealed[at - 3 : at + 1] == (123_456).to_bytes(4, "big")


def test_a_signature_that_covers_nothing_fails():
    def blind(signed):
        return verify_signed(signed) if signed in sound else verify_signed(sound[-1])

    sound = [record.cms for record in evidence().gateway]
    failing("altered_gateway_record_detected", verify_cms=blind)


def test_what_is_altered_in_a_signed_record_is_a_digit_of_the_register():
    seen = []

    def listen(signed):
        seen.append(signed)
        return verify_signed(signed)

    last = evidence().gateway[-1]
    assert verdict("altered_gateway_record_detected", verify_cms=listen).ok
    (at,) = [at for at, byte in enumerate(last.cms) if byte != seen[-1][at]]
    assert last.cms[at - 6 : at] == b'"raw":'


@pytest.mark.parametrize("stored_ms", [[250.0], [1.0, 260.0, 9000.0]])
def test_slow_commands_fail(stored_ms):
    commanded = [replace(one, latencies_ms=stored_ms) for one in outcome().commanded]
    failing("command_latency", outcome=outcome(commanded=commanded))


def test_one_slow_command_among_quick_ones_is_borne():
    commanded = [replace(one, latencies_ms=[40.0, 41.0, 900.0]) for one in outcome().commanded]
    check = verdict("command_latency", outcome=outcome(commanded=commanded))
    assert check.ok and "40 / 41 / 900 ms" in check.detail


def test_commands_that_nobody_timed_fail():
    commanded = [replace(one, latencies_ms=[]) for one in outcome().commanded]
    failing("command_latency", outcome=outcome(commanded=commanded))
    failing("command_latency", relay_latencies_ms=[])


def telegrams():
    return [
        {(v["obis"], v["raw"], v["scaler"], v["unit"]) for v in content["values"]}
        for content in gateway_contents()
    ]


def test_of_a_capture_the_digits_are_compared_instead_of_energies():
    checks = {check.name: check for check in run_checks(evidence(capture_values=telegrams()))}
    assert checks["capture_digits"].ok and "witnesses_agree" not in checks


def test_a_reading_that_no_telegram_of_the_capture_holds_fails():
    contents = gateway_contents()
    contents[2]["values"][0]["raw"] += 1
    records = gateway_records(contents)
    check = verdict("capture_digits", gateway=records, capture_values=telegrams())
    assert not check.ok and check.detail == "differ: ['taf16-1 3']"


@pytest.mark.parametrize(("kind", "good"), [("taf7", True), ("taf16", False)])
def test_only_a_quarter_hour_may_be_without_a_reading_of_the_capture(kind, good):
    contents = gateway_contents()
    next(content for content in contents if content["type"] == kind)["values"] = []
    records = gateway_records(contents)
    check = verdict("capture_digits", gateway=records, capture_values=telegrams())
    assert check.ok is good and ("told as without a reading" in check.detail) is good


@pytest.mark.parametrize(
    ("dwh", "shown"),
    [(0, "0.0 Wh"), (9, "0.9 Wh"), (12345, "1234.5 Wh"), (-1, "-0.1 Wh"), (-12345, "-1234.5 Wh")],
)
def test_energy_is_shown_with_its_last_digit(dwh, shown):
    assert wh(dwh) == shown


def test_a_spread_is_smallest_median_and_largest():
    assert spread([1.0, 2.0, 9.0]) == "1 / 2 / 9 ms"
