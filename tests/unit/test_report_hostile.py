"""The report of strange and hostile logs: text stays text, nothing is fetched, nothing fails."""

import html
from html.parser import HTMLParser

import pytest
from report_kit import SECOND, full_log, page

from clsbench.report.html import render, write_report

HOSTILE = "</title><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&\x00\x1b"


@pytest.fixture
def log(tmp_path):
    return full_log(tmp_path / "events.jsonl")


def test_hostile_text_is_nothing_but_text(log):
    detail = {"text": HOSTILE, "action": HOSTILE, "reason": HOSTILE, HOSTILE: HOSTILE}
    log.tell(2, "aEMT", "SMGW", "message", "command.in", uuid=HOSTILE, detail=detail)
    log.tell(2, "aEMT", "SMGW", "fault", HOSTILE, uuid=SECOND, ok=False, detail=detail)
    log.device(62, 2640, 16, HOSTILE, "begin", HOSTILE)
    check = {"name": HOSTILE, "ok": False, "detail": HOSTILE}
    told = {"uuid": HOSTILE, "name": HOSTILE, "ok": HOSTILE, "bound_dwh": HOSTILE}
    document = {
        "checks": [check],
        "transactions": [told],
        "names": {"smgw": HOSTILE},
        "scenario": HOSTILE,
        "speed": HOSTILE,
    }
    text = page(log, document)
    tags = Tags(text)
    assert tags.found.count("script") == 1 and "img" not in tags.found
    assert not [name for name in tags.attributes if name.startswith("on")]
    assert html.escape("<img src=x onerror=alert(1)>") in text
    assert "\x00" not in text and "\x1b" not in text


class Tags(HTMLParser):
    """Names of all elements and attributes of a page."""

    def __init__(self, text):
        super().__init__()
        self.found, self.attributes, self.ids, self.targets = [], [], set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += [name for name, _ in attrs]
        values = dict(attrs)
        self.ids |= {values["id"]} if "id" in values else set()
        if tag == "a":
            self.targets.add(values["href"].removeprefix("#"))


def test_the_page_asks_for_nothing_and_every_link_leads_somewhere(log):
    text = page(log)
    assert "http:" not in text and "https:" not in text and "url(" not in text
    tags = Tags(text)
    assert not {"link", "iframe", "object", "embed", "form", "base"} & set(tags.found)
    assert "src" not in tags.attributes
    assert tags.targets and tags.targets <= tags.ids
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_an_empty_log_gives_a_clear_page():
    text = render([], None)
    assert "The event log is empty" in text and "<script>" in text


@pytest.mark.parametrize(
    "event",
    [
        {},
        {
            "t_ns": "x",
            "lane_from": 3,
            "lane_to": None,
            "kind": [],
            "uuid": 7,
            "name": {},
            "ok": 0,
            "detail": [1],
            "raw": 5,
        },
        {"t_ns": 10**30, "name": "device.taf7", "detail": {"values": [{"raw": "1"}], "seq": True}},
        {
            "t_ns": -5,
            "name": "device.taf16",
            "uuid": "\ud800",
            "detail": {
                "seq": 1,
                "captured_ms": 10**20,
                "values": [{"obis": "1-0:1.8.0*255", "raw": 1, "scaler": 10**9, "unit": 30}],
            },
        },
        {"t_ns": 1, "name": "load.power", "detail": {"power_w": 10**400}},
    ],
)
def test_strange_events_are_shown_and_never_fail(event, tmp_path):
    write_report(
        [event, dict(event)],
        {"transactions": [3], "checks": 5, "names": []},
        tmp_path / "report.html",
    )
    assert '<tr id="e1"' in (tmp_path / "report.html").read_text()
