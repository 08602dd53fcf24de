"""Quirk profiles: each is data that loads, and does to a client what it says."""

import re
import ssl
import time

import pytest
from han_kit import Client, han_config, served

from clsbench.errors import BadInput
from clsbench.smgw.han.settings import QUIRKS_DIR, HanSection, quirk_names, read_quirks

URL = "/cgi-bin/hanservice.cgi"


@pytest.mark.parametrize("name", quirk_names())
def test_every_quirk_profile_loads_and_says_what_it_is(name):
    quirks = read_quirks(QUIRKS_DIR / f"{name}.toml")
    assert quirks.description
    assert quirks.model_dump(exclude_defaults=True, exclude={"description"})


def test_an_unknown_profile_is_named_with_those_there_are(tmp_path):
    with pytest.raises(BadInput, match="slow"):
        HanSection(quirks="fast").quirk_profile()
    (tmp_path / "own.toml").write_text("delay_m = 3")
    with pytest.raises(BadInput, match="delay_m"):
        HanSection(quirks_file=tmp_path / "own.toml").quirk_profile()


async def _asked(pki, folder, work, **han):
    async with served(han_config(pki, folder, **han)) as gateway:
        return await gateway.run(work, gateway.port)


async def test_a_slow_gateway_takes_its_time_for_each_answer(pki, tmp_path):
    (tmp_path / "slow.toml").write_text("delay_s = 0.3")

    def work(port):
        begun = time.monotonic()
        return Client(port).ask("GET", URL).status, time.monotonic() - begun

    status, took_s = await _asked(pki, tmp_path, work, quirks_file=tmp_path / "slow.toml")
    assert status == 200 and took_s >= 0.6


async def test_stale_values_are_shown_as_the_latest_ones(pki, tmp_path):
    def work(port):
        client = Client(port)
        return client.ask("POST", URL, "action=showMeterProfile").text

    page = await _asked(pki, tmp_path, work, quirks="stale")
    assert re.findall(r"col_timestamp\">([^<]+)", page) == ["2026-10-02 18:00:01"]


async def test_a_locked_portal_refuses_the_right_password_and_says_for_how_long(pki, tmp_path):
    def work(port):
        answer = Client(port).ask("GET", URL)
        return answer.status, answer.json()["error"], answer.headers["Retry-After"]

    status, told, after = await _asked(pki, tmp_path, work, quirks="locked")
    assert (status, after) == (403, "600") and "locked for 10 minutes" in told


async def test_a_log_in_without_a_session_is_answered_200(pki, tmp_path):
    def work(port):
        client = Client(port)
        return client.ask("GET", URL).status, client.cookies

    assert await _asked(pki, tmp_path, work, quirks="no-session") == (200, {})


async def test_a_hello_without_renegotiation_info_is_what_openssl_refuses(pki, tmp_path):
    def work(port):
        with pytest.raises(ssl.SSLError) as refused:
            Client(port).ask("GET", URL)
        return refused.value.reason

    told = await _asked(pki, tmp_path, work, quirks="no-renegotiation-info")
    assert told == "UNSAFE_LEGACY_RENEGOTIATION_DISABLED"
