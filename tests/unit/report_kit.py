"""An event log as the chain writes it, for the tests of the report."""

import re

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog, read_events
from clsbench.report.html import render

T0_MS = 1_777_882_500_000  # 2026-05-04 08:15:00 UTC
MINUTE_MS = 60_000
FIRST = "6f1b0e52-0000-4000-8000-000000000001"
SECOND = "7a2c1f63-0000-4000-8000-000000000002"


class Log:
    """Writes events as the chain does, at minutes after T0_MS."""

    def __init__(self, path):
        self.path = path
        self.log = EventLog(path, BenchClock(), "test")
        self.seq = 0
        self.gateway_seq = {"taf7": 0, "taf16": 0}

    def tell(self, minute, *event, **more):
        self.log.event(*event, t_ns=int((T0_MS + minute * MINUTE_MS) * 10**6), **more)

    def device(self, minute, wh, taf=7, uuid=None, event=None, text=""):
        self.seq += 1
        t_ms = int(T0_MS + minute * MINUTE_MS)
        detail = {
            "seq": self.seq,
            "taf": taf,
            "uuid": uuid,
            "event": event,
            "text": text,
            "device_id": "ETST0020000017",
            "captured_ms": t_ms,
            "values": [
                {"obis": "1-0:1.8.0*255", "raw": 123456 + wh // 10, "scaler": 1, "unit": 30}
            ],
            "due_ms" if taf == 7 else "event_ms": t_ms,
        }
        self.tell(
            minute,
            "DICAMM",
            "DICAMM",
            "record",
            f"device.taf{taf}",
            uuid=uuid,
            detail=detail,
            raw=b"\xd1\x84" * 40,
        )

    def gateway(self, minute, dwh, taf="taf16", uuid=None, event=None):
        self.gateway_seq[taf] += 1
        t_ms = int(T0_MS + minute * MINUTE_MS)
        detail = {
            "profile_id": taf,
            "seq": self.gateway_seq[taf],
            "captured_ms": t_ms,
            "event": event,
            "values": [{"obis": "1-0:1.8.0*255", "raw": 87654320 + dwh, "scaler": -1, "unit": 30}],
        }
        name = "record.written" if taf == "taf16" else "taf7.record"
        self.tell(minute, "SMGW", "SMGW", "record", name, uuid=uuid, detail=detail)

    def switch(self, minute, action, uuid, text, wh, dwh):
        detail = {"action": action, "text": text}
        self.tell(minute, "aEMT", "SMGW", "message", "command.in", uuid=uuid, detail=detail)
        self.tell(
            minute + 0.01,
            "SMGW",
            "DICAMM",
            "message",
            "command.forwarded",
            uuid=uuid,
            detail=detail,
        )
        edge = "relay.closed" if action == "begin" else "relay.opened"
        self.tell(minute + 0.02, "DICAMM", "load", "state", edge)
        self.device(minute + 0.03, wh, 16, uuid, action, text)
        self.gateway(minute + 0.04, dwh, uuid=uuid, event=action)


def full_log(path):
    """Five quarter-hour readings, a transaction in two of the quarter hours, another in the third;
    between them 40 Wh that belong to none."""
    log = Log(path)
    for minute, power_w in ((0, 0), (5, 6000), (26, 0), (37, 6000), (42, 0)):
        log.tell(minute, "load", "load", "state", "load.power", detail={"power_w": power_w})
    log.device(0, 0)
    log.gateway(0, 0, "taf7")
    log.switch(5, "begin", FIRST, "wind surplus", 0, 0)
    log.device(15, 1000)
    log.switch(26, "end", FIRST, "wind surplus", 2100, 20920)
    log.device(30, 2140)
    log.switch(37, "begin", SECOND, "negative price", 2140, 21300)
    log.switch(42, "end", SECOND, "negative price", 2640, 26299)
    log.device(45, 2640)
    log.device(60, 2640)
    return log


def page(log, document=None):
    return render(read_events(log.path), document)


def section(text, label):
    return re.search(rf'<section id="lanes-{label}".*?</section>', text, re.S)[0]
