"""A meter, its boxes and a clocked reading, as the tests of the gateway's core share them."""

from clsbench.smgw.core.profiles import TafProfile
from clsbench.smgw.core.readings import OriginalReading, Value

METER = "1EMH0098765432"
CLS, OTHER_CLS = "ETST0020000017", "ETST0020000018"
SILENT_CLS = "ETST0020000019"  # in no TAF16 profile
UUID = "0f3c1a52-7b1e-4a6a-9d53-2a54b1a7c001"
QUARTER = 900_000
TAF16 = TafProfile("taf16", 16, METER, "consumer1", "flexmarkt", (CLS, OTHER_CLS), True)
TAF7 = TafProfile("taf7", 7, METER, "consumer1", "flexmarkt")


def reading_at(captured_ms, raw=1):
    return OriginalReading(METER, captured_ms, (Value("1-0:1.8.0*255", raw, -1, 30),))
