"""TRuDI files: what we write holds by every rule, and each rule catches its negative file."""

import xml.etree.ElementTree as ET
from copy import deepcopy

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from trudi_kit import DAY, SPAN, Files, drop, put, the

from clsbench.errors import BadInput
from clsbench.smgw.trudi.check import check, taf_of
from clsbench.smgw.trudi.document import find_all, series_of, short
from clsbench.smgw.trudi.findings import MAX_FINDINGS
from clsbench.smgw.trudi.names import AR

LIST, TOTAL = "0100010800ff.1EMH0098765432.sm", "0100010800ff.taf"
FIRST = "MeterReading"


@pytest.fixture(scope="module")
def certificates(pki):
    path = pki.directory / "smgw" / "sig.crt.pem"
    leaf, sub = x509.load_pem_x509_certificates(path.read_bytes())[:2]
    return ((1, leaf.public_bytes(Encoding.DER)), (2, sub.public_bytes(Encoding.DER)))


@pytest.fixture
def files(certificates):
    return lambda number, lost=(), span=DAY: Files(number, certificates, lost, span)


@pytest.mark.parametrize("number", [1, 2, 6, 7])
@pytest.mark.parametrize(("span", "lost"), [(DAY, ()), (DAY, (24, 25, 70)), (SPAN, (24, 25))])
def test_what_a_gateway_exports_holds_by_every_rule(files, number, span, lost):
    report = files(number, lost, span).report()
    assert report.failed() == [] and report.ok and report.taf == number
    names = [rule.name for rule in report.rules]
    assert len(names) == len(set(names)) > 50


def add(parent, name, text=None, at=None):
    child = ET.Element(f"{{{AR}}}{name}")
    child.text = text
    parent.insert(len(parent) if at is None else at, child)
    return child


def swap(f):
    first, second = the(f.point, "usagePointId"), the(f.point, "Customer")
    places = [list(f.point).index(first), list(f.point).index(second)]
    f.point.remove(first)
    f.point.insert(places[1], first)


def no_readings(f):
    block = the(f.point, "MeterReading/IntervalBlock")
    for reading in find_all(block, "IntervalReading"):
        block.remove(reading)


def blocks(f, shift):
    block = the(f.point, "MeterReading/IntervalBlock")
    copy = deepcopy(block)
    the(f.point, "MeterReading").append(copy)
    put(copy, "interval/start", shift)


def keep_series(f, count):
    for one in find_all(f.point, "MeterReading")[count:]:
        f.point.remove(one)


def status(f, fnn, ptb):
    reading = the(f.point, "MeterReading/IntervalBlock/IntervalReading")
    for name, text in (("statusFNN", fnn), ("statusPTB", ptb)):
        drop(reading, name)
        if text is not None:
            add(reading, name, text)


R = "MeterReading/IntervalBlock/IntervalReading"
# rule, TAF, how the file is spoilt
SPOILT = [
    ("S1", 7, lambda f: setattr(f.root, "tag", f"{{{AR}}}Usage")),
    ("S2", 7, lambda f: add(f.point, "UUID", "x")),
    ("S2", 7, lambda f: add(the(f.point, R), "clsId", "x")),
    ("S3", 7, swap),
    ("S4", 7, lambda f: drop(f.point, "Customer/customerId")),
    ("S4", 7, lambda f: add(the(f.point, "Customer"), "customerId", "second")),
    ("S5", 7, lambda f: put(f.point, "usagePointId", "x" * 257)),
    ("S5", 7, lambda f: put(f.point, f"{R}/espi:value", "1.5")),
    ("S5", 7, lambda f: put(f.point, f"{R}/espi:value", str(2**47))),
    ("S5", 7, lambda f: put(f.point, f"{R}/targetTime", "2026-10-01T00:00:00")),
    ("S5", 7, lambda f: put(f.point, f"{R}/timePeriod/duration", "-1")),
    ("S5", 7, lambda f: put(f.point, "Certificate/certContent", "0")),
    ("M01", 7, lambda f: drop(f.point, "usagePointId")),
    ("M01", 7, lambda f: put(f.point, "usagePointId", "  ")),
    ("M02", 7, lambda f: drop(f.point, "tariffName")),
    ("M03", 7, lambda f: drop(f.point, "InvoicingParty")),
    ("M04", 7, lambda f: drop(f.point, "SMGW")),
    ("M05", 7, lambda f: put(f.point, "SMGW/smgwId", "")),
    ("M06", 7, lambda f: [drop(f.point, "SMGW/certId") for _ in range(2)]),
    ("M07", 7, lambda f: drop(f.point, "espi:ServiceCategory")),
    ("M08", 7, lambda f: put(f.point, "espi:ServiceCategory/espi:kind", "3")),
    ("M09", 7, lambda f: drop(f.point, "Customer")),
    ("M10", 7, lambda f: [drop(f.point, "Certificate") for _ in range(2)]),
    ("M11", 7, lambda f: put(f.point, "Certificate/certType", "4")),
    ("M12", 7, lambda f: drop(f.point, f"{FIRST}/meterReadingId")),
    ("M13", 7, lambda f: drop(f.point, f"{FIRST}/Meter")),
    ("M14", 7, lambda f: drop(f.point, f"{FIRST}/ReadingType")),
    ("M15", 7, lambda f: put(f.point, f"{FIRST}/ReadingType/obisCode", "1-0:1.8.0")),
    ("M16", 7, lambda f: drop(f.point, f"{FIRST}/ReadingType/qualifiedLogicalName")),
    ("M17", 7, lambda f: put(f.point, f"{FIRST}/ReadingType/espi:powerOfTenMultiplier", "4")),
    ("M18", 7, lambda f: put(f.point, f"{FIRST}/ReadingType/espi:uom", "30")),
    ("M19", 7, lambda f: drop(f.point, f"{FIRST}/IntervalBlock/interval/start")),
    ("M19", 7, lambda f: drop(f.point, f"{FIRST}/IntervalBlock/interval")),
    ("M20", 7, no_readings),
    ("M21", 7, lambda f: drop(f.point, f"{R}/timePeriod")),
    ("M21", 7, lambda f: drop(f.point, f"{R}/timePeriod/duration")),
    ("M22", 7, lambda f: drop(f.point, f"{R}/espi:value")),
    ("M23", 7, lambda f: status(f, None, None)),
    ("M23", 7, lambda f: status(f, "0" * 16, None)),
    ("M23", 7, lambda f: status(f, None, "5")),
    ("M24", 7, lambda f: put(f.point, "LogEntry/LogEvent/level", "6")),
    ("M24", 7, lambda f: drop(f.point, "LogEntry/LogEvent/level")),
    ("M25", 7, lambda f: put(f.point, "LogEntry/LogEvent/outcome", "3")),
    ("C01", 7, lambda f: drop(f.point, "SMGW/certId")),
    ("C01", 7, lambda f: put(f.point, "SMGW/certId", "9")),
    ("C02", 7, lambda f: put(f.point, "Certificate/certContent", "00112233FF")),
    ("C03", 7, lambda f: blocks(f, "2026-10-26T00:15:00+01:00")),
    ("C03", 7, lambda f: blocks(f, "2026-10-25T23:45:00+01:00")),
    ("C04", 7, lambda f: put(f.point, f"{FIRST}/IntervalBlock/interval/duration", "94780801")),
    ("C05", 1, lambda f: keep_series(f, 1)),
    ("C06", 2, lambda f: keep_series(f, 4)),
    ("C07", 2, lambda f: put(f.series(TOTAL), "IntervalBlock/interval/duration", "900")),
    ("C08", 7, lambda f: put(f.series(LIST), "ReadingType/qualifiedLogicalName", "a.taf7.sm")),
    ("C08", 7, lambda f: put(f.series(LIST), "ReadingType/qualifiedLogicalName", "a.b")),
    ("C09", 7, lambda f: put(f.point, f"{R}/timePeriod/start", "2026-10-24T23:59:59+02:00")),
    ("C09", 7, lambda f: put(f.point, f"{R}/timePeriod/start", "2026-10-26T00:00:01+01:00")),
    ("R1", 1, lambda f: put(f.series(TOTAL), "IntervalBlock/IntervalReading/espi:value", "1")),
    ("R1", 1, lambda f: put(f.series(LIST), "IntervalBlock/IntervalReading/statusPTB", "3")),
    ("R2", 2, lambda f: put(f.series(TOTAL), "IntervalBlock/IntervalReading/espi:value", "1")),
    ("R2", 2, lambda f: f.point.remove(f.series("010001083fff"))),
    ("R4", 6, lambda f: put(f.series(TOTAL), "IntervalBlock/IntervalReading/espi:value", "1")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "number", "spoil"), SPOILT)
def test_each_rule_catches_its_negative_file(files, name, number, spoil):
    spoilt = files(number)
    spoil(spoilt)
    assert name in spoilt.report().failed()


def first_day(f):
    return the(f.theirs, "AnalysisProfile/TariffChangeTrigger/TimeTrigger/DayProfile")


def sunday(f):
    return find_all(the(f.theirs, TRIGGER), "DayProfile")[1]


def more_stages(f):
    profile = the(f.theirs, "AnalysisProfile")
    stage = the(profile, "TariffStage")
    for _ in range(19):
        profile.insert(list(profile).index(stage), deepcopy(stage))


TRIGGER = "AnalysisProfile/TariffChangeTrigger/TimeTrigger"
SPOILT_TARIFF = [
    ("T01", lambda f: put(f.theirs, "usagePointId", "other")),
    ("T02", lambda f: put(f.theirs, "InvoicingParty/invoicingPartyId", "other")),
    ("T03", lambda f: put(f.theirs, "espi:ServiceCategory/espi:kind", "1")),
    ("T04", lambda f: put(f.theirs, "SMGW/smgwId", "ETST0010000002")),
    ("T05", lambda f: put(f.theirs, "tariffName", "other")),
    ("T06", more_stages),
    ("T07", lambda f: drop(f.theirs, f"{TRIGGER}/SpecialDayProfile")),
    ("T08", lambda f: put(f.theirs, f"{TRIGGER}/SpecialDayProfile/dayId", "99")),
    ("T09", lambda f: put(first_day(f), "DayTimeProfile/tariffNumber", "9")),
    ("T10", lambda f: put(f.theirs, "AnalysisProfile/billingPeriod/duration", "3600")),
    ("T10", lambda f: drop(f.theirs, "AnalysisProfile/billingPeriod/start")),
    ("T11", lambda f: drop(first_day(f), "DayTimeProfile")),
    ("T11", lambda f: first_day(f).remove(find_all(first_day(f), "DayTimeProfile")[40])),
    ("T12", lambda f: put(f.theirs, "AnalysisProfile/TariffStage/obisCode", "1.8.1")),
    ("T13", lambda f: put(f.theirs, "AnalysisProfile/tariffUseCase", "3")),
    ("T14", lambda f: drop(f.theirs, TRIGGER)),
    ("supplier.M01", lambda f: drop(f.theirs, "usagePointId")),
    ("supplier.S4", lambda f: drop(f.theirs, "AnalysisProfile/tariffId")),
    ("R3", lambda f: put(sunday(f), "DayTimeProfile/tariffNumber", "1")),
]


@pytest.mark.parametrize(("name", "spoil"), SPOILT_TARIFF)
def test_each_rule_of_a_tariff_file_catches_its_negative_file(files, name, spoil):
    spoilt = files(2)
    spoil(spoilt)
    assert name in spoilt.report().failed()


def test_every_rule_has_its_negative_file(files):
    rules = {rule.name for number in (1, 2, 6, 7) for rule in files(number).report().rules}
    spoilt = {name for name, *_ in SPOILT} | {name for name, _ in SPOILT_TARIFF}
    of_both = {f"supplier.{name}" for name in rules if not name.startswith("supplier.")}
    assert rules - spoilt - of_both == {"X1"}


def test_a_smgw_id_in_another_case_is_the_same(files):
    one = files(2)
    put(one.theirs, "SMGW/smgwId", "etst0010000001")
    assert one.report().ok


def test_the_tariff_use_case_is_told_from_the_file(files):
    for number in (1, 2, 6, 7):
        assert check(("f", ET.tostring(files(number).root))).taf == number
    bare = files(2)
    for one in find_all(bare.point, "MeterReading"):
        drop(one, "ReadingType/description")
    assert taf_of(series_of(bare.point)) == 2 and taf_of([]) is None
    keep_series(bare, 1)
    assert taf_of(series_of(bare.point)) == 7


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is not XML"),
        (b"<UsagePoints>", "is not XML"),
        (b"\xff\xfe\x00", "is not XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DOCTYPE"),
        (b'<?xml version="1.0" encoding="utf-9"?><a/>', "is not XML"),
    ],
)
def test_what_is_no_sound_xml_is_told_and_not_opened(data, told):
    with pytest.raises(BadInput, match=told):
        check(("f.xml", data))


def test_any_other_xml_is_judged_not_crashed_on():
    report = check(("f.xml", b"<a><b/></a>"))
    assert not report.ok and "S1" in report.failed() and "M01" in report.failed()


def test_findings_are_bounded_and_the_report_is_a_document(files):
    spoilt = files(7)
    for reading in spoilt.root.iter(f"{{{AR}}}statusPTB"):
        reading.text = "7"
    found = spoilt.report(with_tariff=False).document()
    (rule,) = [rule for rule in found["rules"] if rule["name"] == "M23"]
    assert len(rule["findings"]) == MAX_FINDINGS + 1 and not rule["ok"] and not found["ok"]
    assert found["taf"] == 7 and {short(spoilt.root.tag)} == {"UsagePoints"}
