"""All meters of the catalogue: served by `clsbench meter serve` on a pty at 9600 baud, found by
probing, and read; every register exact against the served value."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal

import pytest

from clsbench.meters import catalogue
from clsbench.meters.master import Line, Patience, SerialMaster
from clsbench.meters.meter_reader import MeterReader
from clsbench.meters.probe import Prober, lines_of, make_plan, one_parity

pytestmark = pytest.mark.wire

COMMAND = [sys.executable, "-m", "clsbench", "meter"]
BUSY = 6  # lines at once: the wire is slow, the machine small
BASE = {"V": "230", "A": "5", "W": "1500", "kW": "1.5", "var": "-70", "kvar": "-0.7", "VA": "1600"}
BASE |= {"kVA": "1.6", "Hz": "50", "1": "0.9", "kWh": "1234", "Wh": "1234567", "varh": "654321"}
BASE |= {"kvarh": "654"}


def values_of(model):
    """Register -> integer it shall show, another for each, a plausible one each."""
    found = {}
    for number, entry in enumerate(model.registers):
        step = Decimal(10) ** entry.resolution
        raw = int(Decimal(BASE[entry.unit]) / step) + number
        export = entry.obis == "1-0:16.7.0"
        found[entry.obis] = -raw if export else raw
    return found


def options_of(model):
    for entry, raw in zip(model.registers, values_of(model).values()):
        yield from ("--set", f"{entry.obis}={Decimal(raw).scaleb(entry.resolution):f}")


@contextmanager
def serve(model, *options):
    process = subprocess.Popen(
        [*COMMAND, "serve", "--model", model, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, lambda: json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told


def run(*arguments):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def served():
    """Ready lines of all 19 meters, each a process of its own, paced, deaf to other rates."""
    with ExitStack() as stack:
        started = {}
        for name in catalogue.models():
            model = catalogue.load(name)
            wire = ("--baud", "9600", "--check-baud", "--unit", "7", "--serial-number", "424242")
            started[name] = stack.enter_context(serve(name, *wire, *options_of(model)))
        yield {name: ready() for name, (_, ready) in started.items()}


def read_all(name, port):
    model = catalogue.load(name)
    with SerialMaster(port, Line(), Patience(5000, 3)) as master:
        reader = MeterReader(master, model, 7)
        begin = time.monotonic()
        found = reader.read()
        return reader, found, time.monotonic() - begin


def test_every_register_of_every_meter_is_read_exactly(served):
    with ThreadPoolExecutor(BUSY) as pool:
        results = pool.map(
            lambda item: (item[0], *read_all(item[0], item[1]["port"])), served.items()
        )
        for name, reader, found, _ in results:
            model = catalogue.load(name)
            wanted = [
                (f"{entry.obis}*255", raw, entry.scaler, entry.dlms_unit)
                for entry, raw in zip(model.registers, values_of(model).values())
            ]
            given = [(v.obis, v.raw, v.scaler, v.unit) for v in found.values]
            assert sorted(given) == sorted(wanted), name
            assert found.refused == {}
            assert not any(reader.discarded.values()), (name, reader.discarded)
            if any(entry.name == "serial_number" for entry in model.identification):
                assert reader.meter_id == "424242"


def probe_all(port):
    models = [catalogue.load(name) for name in catalogue.models()]
    patience = Patience(150, 1)
    lines = one_parity(lines_of(models, (), ()))
    plan = make_plan(models, lines, range(5, 9), patience)
    said = []
    with SerialMaster(port, lines[0], patience) as master:
        begin = time.monotonic()
        found = list(Prober(master, plan, said.append, begin + plan.bound_ms / 1000).search())
        return found, said, time.monotonic() - begin, plan.bound_ms / 1000


def test_every_meter_is_found_with_its_address_and_baud_and_itself_among_the_best(served):
    with ThreadPoolExecutor(BUSY) as pool:
        results = pool.map(lambda item: (item[0], *probe_all(item[1]["port"])), served.items())
        for name, found, said, took_s, bound_s in results:
            assert [(entry.unit, entry.line.baud) for entry in found] == [(7, 9600)], name
            most = found[0].candidates[0].confirmed
            best = [one.model for one in found[0].candidates if one.confirmed == most]
            assert name in best, (name, found)
            assert found[0].complete and took_s < bound_s
            assert len(said) > 3


def test_the_identification_tells_which_meter_it_is(served):
    for name, told in (
        ("hager_ecr380d", {"serial_number": "424242", "vendor": "clsbench"}),
        ("schneider_iem3155", {"vendor": "clsbench", "firmware": "simulated"}),
    ):
        found = probe_all(served[name]["port"])[0]
        identification = found[0].candidates[0].identification
        assert told.items() <= identification.items(), identification


def test_read_prints_the_promised_document(served):
    port = served["siemens_pac2200"]["port"]
    before_ms = time.time_ns() // 10**6
    code, out, err = run(
        *("read", "--port", port, "--model", "siemens_pac2200", "--unit", "7", "--json"),
        *("--obis", "1-0:1.8.0", "--obis", "1-0:16.7.0"),
    )
    assert code == 0, err
    document = json.loads(out)
    assert (document["model"], document["meter"]) == ("siemens_pac2200", None)
    model = catalogue.load("siemens_pac2200")
    wanted = values_of(model)
    power, energy = sorted(document["readings"], key=lambda entry: entry["unit"])
    assert energy["raw"] == wanted["1-0:1.8.0"] and energy["value"] == str(energy["raw"])
    assert (power["obis"], power["scaler"], power["unit"]) == ("1-0:16.7.0*255", -1, 27)
    assert Decimal(power["value"]) == Decimal(wanted["1-0:16.7.0"]).scaleb(-1)
    for entry in document["readings"]:
        assert before_ms <= entry["captured_ms"] <= time.time_ns() // 10**6
    assert "baud, parity, stop_bits not known" in err
    assert set(document["discarded"].values()) == {0}


def test_watching_prints_a_document_a_round(served):
    port = served["eastron_sdm630"]["port"]
    options = ("--unit", "7", "--watch", "--count", "3", "--interval", "0", "--json")
    code, out, _ = run("read", "--port", port, "--model", "eastron_sdm630", *options)
    documents = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and len(documents) == 3
    assert {document["meter"] for document in documents} == {"424242"}
    times = [document["readings"][0]["captured_ms"] for document in documents]
    assert times == sorted(set(times))


def test_a_silent_meter_is_told_with_evidence_and_the_next_step(served):
    port = served["eastron_sdm630"]["port"]
    options = ("--unit", "9", "--meter", "1EAS0012345678", "--obis", "1-0:1.8.0", "--timeout-ms")
    code, out, err = run("read", "--port", port, "--model", "eastron_sdm630", *options, "60")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"clsbench: meter 1EAS0012345678 on {port} did not answer (3 tries, 60 ms each).",
        "  Sent 09 04 00 48 00 02 F0 95, received 0 bytes.",
        "  Line: 9600 8N1.",
        "  Check A/B polarity and termination, then: clsbench meter probe --port " + port,
    ]


def test_a_meter_of_another_model_refuses_and_is_told(served):
    port = served["saia_ale3"]["port"]
    code, _, err = run("read", "--port", port, "--model", "eastron_sdm630", "--unit", "7")
    assert code == 1
    assert "refused: exception 1, illegal function" in err and "meter probe" in err


def test_probe_states_its_bound_and_finds_another_baud_rate():
    with serve("saia_ale3", "--baud", "19200", "--unit", "3", "--check-baud") as (_, ready):
        port = ready()["port"]
        code, out, err = run("probe", "--port", port, "--address", "1-4", "--json")
    assert code == 0, err
    assert "6 line settings, 4 addresses, 19 models" in err and "at most" in err.splitlines()[0]
    document = json.loads(out)
    (found,) = document["found"]
    assert (found["unit"], found["baud"], found["complete"]) == (3, 19200, True)
    best = found["candidates"][0]
    assert (best["model"], best["confirmed"], best["registers"]) == ("saia_ale3", 11, 13)
    assert document["took_s"] <= document["bound_s"]


def test_probe_of_an_empty_line_ends_within_the_stated_time():
    fd, other = os.openpty()
    port = os.ttyname(other)
    begin = time.monotonic()
    code, out, err = run("probe", "--port", port, "--within", "2", "--timeout-ms", "50")
    took_s = time.monotonic() - begin
    os.close(fd)
    os.close(other)
    assert (code, out) == (1, "")
    assert "at most 2 s" in err and "no meter answered" in err and "--within" in err
    assert took_s < 30  # without it: minutes


def test_faults_of_a_script_reach_the_line():
    with serve("eastron_sdm120", "--unpaced", "--faults", "kind=crc; kind=echo") as (_, ready):
        port = ready()["port"]
        options = ("--obis", "1-0:1.8.0", "--json")
        code, out, err = run("read", "--port", port, "--model", "eastron_sdm120", *options)
    assert code == 0, err
    discarded = json.loads(out)["discarded"]
    assert (discarded["crc"], discarded["echo"]) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--model", "eastron_sdm630", "--load", "many"), "load 'many' is unknown"),
        (("serve", "--model", "eastron_sdm630", "--faults", "kind=x"), "fault kind 'x'"),
        (("serve", "--model", "eastron_sdm630", "--set", "1-0:99.8.0=1"), "shows no 1-0:99.8.0"),
        (("serve", "--model", "eastron_sdm631"), "Nearest: eastron_sdm630"),
        (("read", "--port", "x", "--model", "eastron_sdm630", "--obis", "y"), "x"),
        (("probe", "--port", "x", "--address", "0-3"), "addresses are 1 to 247"),
    ],
)
def test_senseless_options_are_told(arguments, told):
    code, out, err = run(*arguments)
    assert code in (2, 3) and out == "" and told in err
    assert "Traceback" not in err


def test_a_port_that_is_not_there_is_an_environment_problem():
    code, _, err = run("read", "--port", "/dev/no-such", "--model", "eastron_sdm630")
    assert code == 3 and "/dev/no-such" in err and "list_ports" in err
