"""Names of AR 2418-6: namespaces, units, and where each element may stand.

Source: AR 2418-6 (interfaces IF_Adapter_TRuDI and IF_Lieferant_TRuDI, version 1.4).
"""

AR = "http://vde.de/AR_2418-6.xsd"
ESPI = "http://naesb.org/espi"
ATOM = "http://www.w3.org/2005/Atom"

KINDS = frozenset({0, 1, 2, 4, 5, 6, 7, 8})
ELECTRICITY, GAS, WATER, HEAT = 0, 1, 2, 5

CERT_SIG, CERT_SUB, CERT_HAN = 1, 2, 3
LEVELS = range(1, 6)
OUTCOMES = range(3)
PTB = range(5)
MULTIPLIERS = frozenset({-6, -3, 0, 1, 2, 3, 6, 9})

# DLMS unit -> uom
UOM = {
    27: 38,  # W
    28: 61,  # VA
    29: 63,  # var
    30: 72,  # Wh
    31: 71,  # VAh
    32: 73,  # varh
    33: 5,  # A
    35: 29,  # V
    44: 33,  # Hz
    13: 42,  # cubic metres
    14: 42,  # the same, corrected
    8: 9,  # degrees
    25: 31,  # J
}
UOMS = frozenset(
    {0, 5, 9, 29, 31, 33, 38, 42, 61, 63, 65, 67, 69, 71, 72, 73, 106, 119, 122, 125, 128, 129}
)

# children in their order: (name, least, most); None = any number. ESPI's are told by "espi:"
CHILDREN: dict[str, tuple[tuple[str, int, int | None], ...]] = {
    "UsagePoints": (("GeneratorVersion", 0, 1), ("UsagePoint", 1, None)),
    "UsagePoint": (
        ("espi:ServiceCategory", 0, 1),
        ("usagePointId", 0, 1),
        ("Customer", 0, 1),
        ("InvoicingParty", 0, 1),
        ("SMGW", 0, 1),
        ("VendorConfig", 0, 1),
        ("Certificate", 0, None),
        ("tariffName", 0, 1),
        ("MathOperation", 0, 1),
        ("AnalysisProfile", 0, 1),
        ("LogEntry", 0, None),
        ("MeterReading", 0, None),
    ),
    "espi:ServiceCategory": (("espi:kind", 1, 1),),
    "Customer": (("customerId", 1, 1),),
    "InvoicingParty": (("invoicingPartyId", 1, 1),),
    "SMGW": (
        ("certId", 0, None),
        ("smgwId", 1, 1),
        ("Manufacturer", 0, 1),
        ("FirmwareVersion", 0, 1),
        ("FirmwareComponent", 0, None),
        ("SystemTime", 0, 1),
    ),
    "FirmwareComponent": (("name", 1, 1), ("version", 0, 1), ("checksum", 0, 1)),
    "VendorConfig": (("tafProfile", 0, 1),),
    "Certificate": (
        ("certId", 1, 1),
        ("certType", 1, 1),
        ("parentCertId", 0, 1),
        ("certContent", 1, 1),
    ),
    "AnalysisProfile": (
        ("tariffUseCase", 1, 1),
        ("tariffId", 1, 1),
        ("description", 0, 1),
        ("billingPeriod", 1, 1),
        ("TariffStage", 1, None),
        ("defaultTariffNumber", 1, 1),
        ("TariffChangeTrigger", 0, None),
        ("RuleSystem", 0, 1),
    ),
    "billingPeriod": (("duration", 0, 1), ("start", 0, 1)),
    "TariffStage": (
        ("tariffNumber", 1, 1),
        ("description", 0, 1),
        ("DatetimePeriod", 0, 1),
        ("MinMaxCounter", 0, 2),
        ("obisCode", 1, 1),
        ("Prepaid", 0, 1),
    ),
    "TariffChangeTrigger": (
        ("TimeTrigger", 0, 1),
        ("ThresholdTrigger", 0, 1),
        ("ExternalEventTrigger", 0, 1),
    ),
    "TimeTrigger": (
        ("DayProfile", 1, None),
        ("SeasonProfile", 0, None),
        ("WeekProfile", 0, None),
        ("SpecialDayProfile", 0, None),
    ),
    "DayProfile": (("dayId", 1, None), ("DayTimeProfile", 1, None)),
    "DayTimeProfile": (("startTime", 1, 1), ("tariffNumber", 1, 1)),
    "startTime": (("hour", 0, 1), ("minute", 0, 1), ("second", 0, 1), ("hundreds", 0, 1)),
    "SpecialDayProfile": (("specialDayDate", 1, 1), ("dayId", 1, 1)),
    "specialDayDate": (
        ("year", 0, 1),
        ("month", 0, 1),
        ("day_of_week", 0, 1),
        ("day_of_month", 0, 1),
    ),
    "LogEntry": (
        ("parentRecordNumber", 0, 1),
        ("recordNumber", 0, 1),
        ("repetitionCounter", 0, 1),
        ("LogEvent", 0, None),
    ),
    "LogEvent": (
        ("evidence", 0, 1),
        ("type", 0, 1),
        ("level", 0, 1),
        ("messageExtensions", 0, 1),
        ("text", 0, 1),
        ("outcome", 0, 1),
        ("secondsIndex", 0, 1),
        ("subjectIdentity", 0, 1),
        ("timestamp", 0, 1),
        ("destination", 0, 1),
        ("userIdentity", 0, 1),
        ("eventKindVendor", 0, 1),
    ),
    "MeterReading": (
        ("Meter", 0, 1),
        ("CO2Indicator", 0, 1),
        ("meterReadingId", 0, 1),
        ("ReadingType", 0, 1),
        ("IntervalBlock", 0, None),
    ),
    "Meter": (("meterId", 1, 1), ("publicKey", 0, 1)),
    "ReadingType": (
        ("espi:powerOfTenMultiplier", 0, 1),
        ("espi:uom", 0, 1),
        ("converterFactor", 0, 1),
        ("scaler", 0, 1),
        ("obisCode", 0, 1),
        ("qualifiedLogicalName", 0, 1),
        ("description", 0, 1),
        ("measurementPeriod", 0, 1),
    ),
    "IntervalBlock": (("interval", 0, 1), ("IntervalReading", 0, None)),
    "interval": (("duration", 0, 1), ("start", 0, 1)),
    "timePeriod": (("duration", 0, 1), ("start", 0, 1)),
    "IntervalReading": (
        ("espi:value", 0, 1),
        ("timePeriod", 0, 1),
        ("targetTime", 0, 1),
        ("measurementTimeMeter", 0, 1),
        ("certId", 0, 1),
        ("meterSig", 0, 1),
        ("signature", 0, 1),
        ("statusFNN", 0, 1),
        ("statusPTB", 0, 1),
        ("statusVendor", 0, 1),
    ),
}

MAX_LENGTH = {
    "usagePointId": 256,
    "customerId": 64,
    "invoicingPartyId": 64,
    "smgwId": 32,
    "Manufacturer": 32,
    "FirmwareVersion": 64,
    "tariffName": 256,
    "tariffId": 64,
    "meterId": 64,
    "meterReadingId": 256,
    "obisCode": 32,
    "qualifiedLogicalName": 256,
    "text": 16384,
    "subjectIdentity": 256,
    "userIdentity": 256,
    "destination": 256,
}
UNSIGNED = {
    "certId": 8,
    "certType": 8,
    "parentCertId": 8,
    "recordNumber": 32,
    "level": 8,
    "outcome": 8,
    "duration": 32,
    "measurementPeriod": 32,
    "statusPTB": 8,
    "tariffUseCase": 16,
    "tariffNumber": 16,
    "defaultTariffNumber": 16,
}
SIGNED = {"scaler": 16, "espi:value": 48, "espi:powerOfTenMultiplier": 16}
TIMES = frozenset({"start", "targetTime", "timestamp", "SystemTime", "measurementTimeMeter"})
HEX = frozenset({"certContent", "signature", "meterSig", "publicKey", "evidence", "tafProfile"})


def hex_obis(text: str) -> str:
    """`0100010800ff` for `1-0:1.8.0*255`."""
    head, last = text.split("*")
    medium, rest = head.split("-")
    channel, groups = rest.split(":")
    return bytes(int(part) for part in (medium, channel, *groups.split("."), last)).hex()
