"""A month of every TAF that TRuDI knows, as files; and ways to spoil them."""

import xml.etree.ElementTree as ET
from datetime import date
from functools import cache

from smgw_month_kit import IMPORT, TAF1, TAF2, TAF6, month

from clsbench.smgw.core.evaluation import TafProfile, UsagePoint
from clsbench.smgw.core.legal_time import midnight_ms, month_ms
from clsbench.smgw.core.logs import LogEntry
from clsbench.smgw.core.validity import Validity
from clsbench.smgw.trudi.check import check
from clsbench.smgw.trudi.contract import Party, contract
from clsbench.smgw.trudi.document import find, short
from clsbench.smgw.trudi.export import adapter_file
from clsbench.smgw.trudi.findings import Report
from clsbench.smgw.trudi.tariff_file import tariff_file

MONTH = (2026, 10)
SPAN = month_ms(*MONTH)
DAY = midnight_ms(date(2026, 10, 25)), midnight_ms(date(2026, 10, 26))  # of 25 hours
POINT = UsagePoint("DE01", "home", "day and night", invoicing_party_id="9900000000001")
TAF7 = TafProfile("taf7", 7, TAF1.meter_id, "consumer1", "flexmarkt", obis=(IMPORT,))
LOG = LogEntry("consumer/consumer1", 1, SPAN[0], "INFO", "e", "SUCCESS", "s", "text", "who")


def rows(span, lost=()):
    """The original list of a span; lost: places that have no reading."""
    whole = month(*MONTH, lambda n: n % 7)
    inside = [one for one in whole if span[0] <= one.at_ms <= span[1]]
    return [one for place, one in enumerate(inside) if place not in lost]


@cache
def content(number: int, certificates: tuple, lost=(), span=DAY):
    """The content of the file of a TAF whose profile is in force for the span."""
    taf = {1: TAF1, 2: TAF2, 6: TAF6, 7: TAF7}[number]
    profile = TafProfile(
        taf.profile_id, taf.number, taf.meter_id, taf.final_consumer, taf.emt, obis=taf.obis,
        time_of_use=taf.time_of_use, point=POINT, validity=Validity(*span),
    )  # fmt: skip
    party = Party("ETST0010000001", "C-1", certificates, "clsbench 0")
    return contract(party, profile, span, rows(span, lost), [LOG])


@cache
def written(number: int, certificates: tuple, lost=(), span=DAY) -> bytes:
    """The gateway's file."""
    return adapter_file(content(number, certificates, lost, span))


@cache
def written_tariff(certificates: tuple, lost=(), span=DAY) -> bytes:
    """The supplier's file."""
    return tariff_file(content(2, certificates, lost, span))


class Files:
    """A gateway's file and, for TAF2, the supplier's; spoil them, then `report`."""

    def __init__(self, number: int, certificates: tuple, lost=(), span=DAY):
        self.number = number
        self.root = ET.fromstring(written(number, certificates, lost, span))
        self.tariff = ET.fromstring(written_tariff(certificates, lost, span))

    @property
    def point(self) -> ET.Element:
        """The usage point of the gateway's file."""
        return the(self.root, "UsagePoint")

    @property
    def theirs(self) -> ET.Element:
        """The usage point of the supplier's file."""
        return the(self.tariff, "UsagePoint")

    def series(self, name: str) -> ET.Element:
        """The MeterReading whose logical name begins so."""
        return next(
            one
            for one in self.point
            if short(one.tag) == "MeterReading"
            and (the(one, "ReadingType/qualifiedLogicalName").text or "").startswith(name)
        )

    def report(self, with_tariff: bool = True) -> Report:
        """What the check says of the files as they are now."""
        supplier = ("tariff.xml", ET.tostring(self.tariff)) if with_tariff else None
        return check(("file.xml", ET.tostring(self.root)), supplier, taf=self.number)


def the(element: ET.Element, path: str) -> ET.Element:
    """The first element at a path, which is there."""
    found = find(element, path)
    assert found is not None, path
    return found


def drop(element: ET.Element, path: str) -> None:
    """Takes the first element at a path out."""
    parent, _, name = path.rpartition("/")
    owner = the(element, parent) if parent else element
    owner.remove(the(owner, name))


def put(element: ET.Element, path: str, text: str) -> None:
    """Another text for the first element at a path."""
    the(element, path).text = text
