"""The PPC dialect, asked as its clients ask: sessions, pages read by id, CMS around XML."""

import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
import pytest_asyncio
from han_kit import (
    FIRST_RAW,
    METER,
    OTHER,
    OTHER_PASSWORD,
    Client,
    han_config,
    served,
)

from clsbench.smgw.core.logs import consumer_log

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = "/cgi-bin/hanservice.cgi"
FORM = "application/x-www-form-urlencoded"
GENERIC = {
    "p": "urn:k461-dke-de:profile_generic-1",
    "e": "urn:k461-dke-de:extension-1",
}
SETUP = {
    "klc": "urn:k461-dke-de:kaf_lmn_container-1",
    "adevs": "urn:k461-dke-de:abstract_device_setup-1",
    "ems": "urn:k461-dke-de:e_meter_sensor_setup-1",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(pki, tmp_path_factory):
    async with served(han_config(pki, tmp_path_factory.mktemp("ppc"))) as running:
        yield running


class Portal:
    """A client that logs in by GET and then posts actions, as those of the field do."""

    def __init__(self, port, **options):
        self.client = Client(port, **options)
        self.start = self.client.ask("GET", URL)
        self.tkn = re.findall(r'name="tkn" value="([^"]+)"', self.start.text)[0]

    def act(self, action, **fields):
        body = "&".join(
            f"{k}={v}" for k, v in ({"action": action, "tkn": self.tkn} | fields).items()
        )
        return self.client.ask("POST", URL, body, Content_Type=FORM)

    def mid(self):
        return re.findall(r'<option value="([^"]+)"', self.act("meterform").text)[0]


async def _with_portal(gateway, work, **options):
    def whole(port):
        portal = Portal(port, **options)
        try:
            return work(portal)
        finally:
            portal.client.close()

    return await gateway.run(whole, gateway.port)


def _cells(row):
    return dict(re.findall(r'<td id="table_metervalues_col_(\w+)">([^<]*)</td>', row))


def _opened(der, tmp_path):
    """What `openssl cms -verify -noverify` finds in it."""
    (tmp_path / "export.cms").write_bytes(der)
    command = ["openssl", "cms", "-verify", "-noverify", "-inform", "DER", "-binary"]
    done = subprocess.run(
        [*command, "-in", str(tmp_path / "export.cms")], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout in der  # one piece, so that clients may cut it out
    return done.stdout


async def test_the_log_in_gives_the_session_cookie_with_the_start_page(gateway):
    def work(portal):
        return portal.start, portal.client.cookies, portal.client.sent_bare

    start, cookies, bare = await _with_portal(gateway, work)
    assert start.status == 200 and start.headers["Content-Type"].startswith("text/html")
    assert re.fullmatch("[0-9a-f]{32}", cookies["session"]) and bare == 1
    assert 'id="button_menu_zaehler"' in start.text and '<p id="div_fwversion">' in start.text


async def test_every_page_has_the_token_and_the_firmware(gateway):
    def work(portal):
        actions = ("meterform", "tariffform", "swversions", "showMeterValuesForm", "unheard")
        return portal.tkn, [portal.act(action).text for action in actions]

    tkn, pages = await _with_portal(gateway, work)
    for page in pages:
        assert f'name="tkn" value="{tkn}"' in page and '<p id="div_fwversion">' in page


async def test_the_meter_form_is_built_as_clients_read_it(gateway):
    page = (await _with_portal(gateway, lambda portal: portal.act("meterform"))).text
    form = re.findall(r'<form id="form_meterform".*?</form>', page)[0]
    assert re.findall(r"<input[^>]*>", form)[0].startswith('<input type="hidden" name="tkn"')
    select = '<select id="meterform_select_meter" name="mid" size="1"><option value="'
    assert select in form
    assert f">01005e318002.{METER.lower()}.sm</option>" in form


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_the_meter_page_shows_the_latest_values_in_kwh(gateway, algorithm):
    def work(portal):
        return portal.act("showMeterProfile", mid=portal.mid()).text

    page = await _with_portal(gateway, work, algorithm=algorithm)
    rows = re.findall(r'<tr id="table_metervalues_line\d+">.*?</tr>', page)
    first, second = map(_cells, rows)
    assert first == {
        "timestamp": "2026-10-03 00:00:01",
        "wert": f"{(FIRST_RAW + 19_200) / 10_000:.4f}",
        "einheit": "kWh",
        "istvalide": "1",
        "name": "Wirkenergie Bezug (+A)",
        "obis": "1-0:1.8.0",
    }
    assert second["obis"] == "1-0:2.8.0" and "timestamp" not in second
    assert '<table id="metervalue">' in page
    assert "<td width=20%>Z&auml;hler-ID</td><td>1emh0098765432</td>" in page


async def test_values_of_a_span_come_newest_first_both_ends_in_it(gateway):
    def work(portal):
        form = portal.act("showMeterValuesForm", mid=portal.mid()).text
        mid = re.findall(r'<form [^>]*name="input_metervalues".*?name="mid" value="(\w+)"', form)[
            0
        ]
        span = {"from": "2026-10-02 00:00:00", "to": "2026-10-02 01:00:00"}
        one = portal.act("showMeterValues", mid=mid, **span).text
        day = portal.act("showMeterValues", mid=mid, **{"from": "2026-10-02", "to": "2026-10-02"})
        none = portal.act("showMeterValues", mid=mid, **{"from": "2025-01-01", "to": "2025-01-02"})
        return one, day.text, none

    one, day, none = await _with_portal(gateway, work)
    times = re.findall(r"col_timestamp\">([^<]+)", one)
    assert times == [f"2026-10-02 {t}:01" for t in ("01:00", "00:45", "00:30", "00:15", "00:00")]
    assert len(re.findall("table_metervalues_col_wert", one)) == 10
    assert len(re.findall("table_metervalues_col_timestamp", day)) == 96
    assert none.status == 200 and "Keine Daten vorhanden." in none.text


async def test_the_export_of_values_is_signed_xml_with_everything_in_it(gateway, tmp_path):
    def work(portal):
        span = {"from": "2026-10-02 00:00:00", "to": "2026-10-02 23:59:59"}
        return portal.act("exportMeterValues", mid=portal.mid(), **span)

    answer = await _with_portal(gateway, work)
    assert answer.headers["Content-Disposition"].endswith('.sm_data.xml.cms"')
    xml = _opened(answer.body, tmp_path)
    assert xml.startswith(b"<?xml") and b"<ns1:object " in xml and xml.endswith(b"</ns1:object>")
    root = ET.fromstring(xml)
    assert root.tag == "{urn:k461-dke-de:profile_generic-1}object"
    objects = root.findall("p:attributes/p:capture_objects/p:capture_object", GENERIC)
    names = {one.get("id"): one.findtext("e:logical_name", "", GENERIC) for one in objects}
    assert names["1"] == f"0100010800ff.{METER.lower()}.sm"
    columns = root.findall("p:attributes/p:buffer/p:simple_data/p:column", GENERIC)
    assert {column.get("id") for column in columns} == set(names)
    entries = columns[0].findall("p:entry_gateway_signed", GENERIC)
    assert len(entries) == 96 == int(columns[0].get("count", "0"))
    found = {
        name: entries[0].findtext(name, "", GENERIC)
        for name in ("e:value/e:long64", "e:scaler", "e:unit", "e:status/e:unsigned")
    }
    assert list(found.values()) == [str(FIRST_RAW + 9600), "-1", "30", "0"]
    assert entries[0].findtext("e:capture_time", "", GENERIC) == "2026-10-01T22:00:01Z"
    assert entries[0].findtext("e:smgw_signature", "", GENERIC)


async def test_the_export_of_a_meters_profile_names_its_registers(gateway, tmp_path):
    def work(portal):
        return portal.act("exportMeterProfile", mid=portal.mid()).body

    root = ET.fromstring(_opened(await _with_portal(gateway, work), tmp_path))
    assert root.tag == "{urn:k461-dke-de:kaf_lmn_container-1}container"
    device = root.find("klc:e_meter_device_object", SETUP)
    assert device is not None
    assert device.findtext(".//adevs:device_identifier", "", SETUP) == METER.lower()
    assert device.findtext(".//adevs:samplerate", "", SETUP) == "900"
    assert device.findtext(".//adevs:active", "", SETUP) == "1"
    values = [one.text for one in device.findall(".//ems:values/ems:value", SETUP)]
    assert "0100010800ff" in values


async def test_the_export_of_the_log_has_its_newest_entry_first(gateway, tmp_path):
    der = (await _with_portal(gateway, lambda portal: portal.act("exportLogData"))).body
    xml = _opened(der, tmp_path)
    entries = ET.fromstring(xml).findall(".//p:buffer/p:logbook/p:entry", GENERIC)
    numbers = [int(one.findtext("e:record_number", "", GENERIC)) for one in entries]
    assert numbers == sorted(numbers, reverse=True) and numbers[-1] == 1
    event = entries[-1].find("e:event", GENERIC)
    assert event is not None
    assert event.findtext("e:timestamp", "", GENERIC).startswith("2026-10-02T22:0")
    assert event.findtext("e:type/e:event_id", "", GENERIC).isdigit()
    assert event.findtext("e:outcome", "", GENERIC) == "SUCCESS"
    extensions = event.find("e:message_extensions", GENERIC)
    assert extensions is not None and extensions.get("count") == "1"
    assert extensions[0].get("id") == "1" and "log-in" in (extensions[0].text or "")
    assert b"<!--han.login: [Meldung]-->" in xml


async def test_profiles_are_listed_and_told(gateway):
    def work(portal):
        listed = portal.act("tariffform").text
        options = re.findall(r'<option value="(\w+)">([^<]+)</option>', listed)
        return listed, options, portal.act("showTariffProfile", tid=options[1][0]).text

    listed, options, page = await _with_portal(gateway, work)
    assert '<select id="tarifform_select_profile"' in listed
    assert [name for _, name in options] == [
        "01005e318001.taf1-home.sm",
        "01005e318007.taf7-home.sm",
    ]
    facts = dict(re.findall(r"<tr><td[^>]*>([^<]*)</td><td>([^<]*)</td></tr>", page))
    assert facts["Profil-ID"] == "taf7-home" and facts["TAF-Typ"] == "TAF-7"
    assert facts["Registerperiode (sek.)"] == "900"
    assert facts["Ende Validierungsperiode"] == "unbegrenzt"
    for label in ("Abrechnungsperiode (sek.)", "Vorhaltezeit (Tage)", "Alias", "Tag Beginn"):
        assert facts[label]
    assert 'id="table_tafvalues_col_obis">1-0:1.8.0<' in page
    assert "table_tafvalues_col_messgroesse" in page


async def test_software_is_a_table_of_components_with_checksums(gateway):
    page = (await _with_portal(gateway, lambda portal: portal.act("swversions"))).text
    rows = re.findall(r"<tr><td>([^<]+)</td><td>([^<]+)</td><td>([0-9a-f]{64})</td></tr>", page)
    assert [row[0] for row in rows] == ["smgw-bootstream", "smgw-services"]


async def test_a_post_without_an_earlier_get_works_and_makes_a_session(gateway):
    def work(port):
        client = Client(port)
        page = client.ask("POST", URL, "action=meterform").text
        mid = re.findall(r'<option value="(\w+)"', page)[0]
        shown = client.ask("POST", URL, f"action=showMeterProfile&mid={mid}")
        client.close()
        return client.cookies, shown.text

    cookies, page = await gateway.run(work, gateway.port)
    assert "session" in cookies and "table_metervalues_line0" in page


async def test_a_post_without_credentials_is_asked_again_and_the_session_lives_on(gateway):
    def work(portal):
        mid, client = portal.mid(), portal.client
        bare = client.send("POST", URL, "action=meterform", None, {})
        return bare, portal.act("showMeterProfile", mid=mid), client.cookies

    bare, page, _ = await _with_portal(gateway, work)
    assert bare.status == 401 and "Digest" in bare.headers["WWW-Authenticate"]
    assert page.status == 200 and "table_metervalues_line0" in page.text


async def test_a_second_cookie_and_a_client_without_cookies_do_no_harm(gateway):
    def odd(portal):
        portal.client.cookies = {"Cookie": f"session={portal.client.cookies['session']}"}
        return portal.act("showMeterProfile", mid=portal.mid()).text

    def bare(portal):
        mid = portal.mid()
        portal.client.cookies = {}
        return portal.act("showMeterProfile", mid=mid).text

    for work in (odd, bare):
        assert "table_metervalues_line0" in await _with_portal(gateway, work)


async def test_after_the_log_out_the_session_is_none(gateway):
    def work(portal):
        out = portal.act("logout")
        return out.status, portal.act("meterform")

    status, late = await _with_portal(gateway, work)
    assert status == 200 and (late.status, late.text) == (200, "Invalide Session")


async def test_ids_of_another_session_or_meter_are_refused_in_the_gateways_words(gateway):
    own = await _with_portal(gateway, lambda portal: portal.mid())

    def work(portal):
        return portal.act("showMeterProfile", mid=own).text, portal.act(
            "showMeterProfile", mid="0" * 32
        ).text

    stolen = await _with_portal(gateway, work, login=OTHER, password=OTHER_PASSWORD)
    assert stolen == ("Invalide Session", "Invalide Session")


async def test_a_log_of_more_than_a_thousand_entries_is_refused_in_words(gateway):
    store = gateway.gateway.store

    def fill():
        for _ in range(1001):
            store.add_log(consumer_log("c-2"), 1_700_000_000_000, "INFO", "x", "SUCCESS", "s", "m")

    await gateway.gateway.worker.run(fill)
    span = {"from": "2023-11-14 00:00:00", "to": "2023-11-15"}
    told = await _with_portal(
        gateway,
        lambda portal: portal.act("exportLogData", **span),
        login=OTHER,
        password=OTHER_PASSWORD,
    )
    words = "Die Abfrage liefert 1001 Datensätze zurück. Es sind nur 1000 erlaubt."
    assert told.status == 200 and told.text == words


async def test_an_export_of_nothing_and_a_time_that_is_none_are_told_in_words(gateway):
    def work(portal):
        mid = portal.mid()
        return [
            portal.act("exportMeterValues", mid=mid, **{"from": "2025-01-01", "to": to}).text
            for to in ("2025-01-02", "soon")
        ]

    assert await _with_portal(gateway, work) == ["Keine Daten vorhanden.", "Ungültiger Zeitraum."]


@pytest.mark.parametrize(("verb", "body", "status"), [("PUT", "", 405), ("POST", b"\xff", 400)])
async def test_what_is_wrong_has_its_status(gateway, verb, body, status):
    def work(portal):
        return portal.client.ask(verb, URL, body).status

    assert await _with_portal(gateway, work) == status
