"""The report in a real browser: its script runs, finds its parts, and hostile text stays text."""

import re
import shutil
import subprocess

import pytest

from clsbench.clock import BenchClock
from clsbench.eventlog import EventLog, read_events
from clsbench.report.html import write_report

UUIDS = ("6f1b0e52-0000-4000-8000-000000000001", "7a2c1f63-0000-4000-8000-000000000002")
HOSTILE = "</script><script>document.documentElement.dataset.owned=1</script><img src=x onerror=1>"
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome on PATH"
)


@pytest.fixture
def log_path(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path, BenchClock(), "test")
    for number, uuid in enumerate(UUIDS):
        for seq, event in ((2 * number + 1, "begin"), (2 * number + 2, "end")):
            t_ms = 1_777_882_500_000 + seq * 600_000
            values = [{"obis": "1-0:1.8.0*255", "raw": 1000 + seq, "scaler": 1, "unit": 30}]
            log.event(
                "aEMT",
                "SMGW",
                "message",
                "command.in",
                uuid=uuid,
                t_ns=t_ms * 10**6,
                detail={"action": event, "text": HOSTILE},
            )
            log.event(
                "DICAMM",
                "DICAMM",
                "record",
                "device.taf16",
                uuid=uuid,
                t_ns=t_ms * 10**6 + 1,
                raw=b"\xd1" * 30,
                detail={
                    "seq": seq,
                    "event": event,
                    "text": HOSTILE,
                    "device_id": "D",
                    "captured_ms": t_ms,
                    "values": values,
                },
            )
    log.event("aEMT", "SMGW", "fault", HOSTILE, ok=False, detail={HOSTILE: HOSTILE})
    log.event("meter", "DICAMM", "message", "modbus.reply", raw=b"\x01\x04")
    log.close()
    return path


def opened(page, profile, fragment=""):
    """The page's elements after its script ran, and what the browser's console said."""
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves this machine
        "--disable-dev-shm-usage",
        "--enable-logging=stderr",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=2000",
        "--dump-dom",
    ]
    done = subprocess.run(
        [BROWSER, *flags, page.as_uri() + fragment], capture_output=True, timeout=90, check=True
    )
    said = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
    return done.stdout.decode(), said


def test_the_script_runs_without_a_word_on_the_console(log_path, tmp_path):
    page = tmp_path / "report.html"
    write_report(read_events(log_path), None, page)
    dom, said = opened(page, tmp_path / "profile", "#lanes-T2")
    assert said == []
    root = re.search(r"<html[^>]*>", dom)[0]
    assert 'class="js"' in root
    assert 'data-ready="10"' in root, "number of rows in the table of events"
    assert 'data-chosen="T2"' in root, "the diagram the address asks for"
    assert "owned" not in root
    diagrams = re.findall(r'<section id="lanes-(T\d)"([^>]*)>', dom)
    assert [name for name, attributes in diagrams if "hidden" not in attributes] == ["T2"]
    assert "10 events, 9 shown" in dom, "polls are hidden at first"


def test_the_page_is_whole_without_its_script(log_path, tmp_path):
    page = tmp_path / "report.html"
    write_report(read_events(log_path), None, page)
    text = page.read_text(encoding="utf-8")
    forbidden = re.sub(r"script-src '[^']*'", "script-src 'none'", text.replace("&#x27;", "'"))
    assert forbidden != text
    page.write_text(forbidden, encoding="utf-8")
    dom, said = opened(page, tmp_path / "profile")
    assert "Content Security Policy" in "".join(said), "the console is heard"
    assert "data-ready" not in re.search(r"<html[^>]*>", dom)[0]
    diagrams = re.findall(r'<section id="lanes-T\d"([^>]*)>', dom)
    assert len(diagrams) == 2 and not any("hidden" in attributes for attributes in diagrams)
