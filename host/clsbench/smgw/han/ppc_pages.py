"""The pages of the PPC dialect: HTML whose ids, names and order clients lean on.

Values in, text out. Source: what clients of the field look for in these pages.
"""

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from clsbench.smgw.core.evaluation import TafProfile
from clsbench.smgw.core.originals import Original
from clsbench.smgw.core.parties import MeterProfile
from clsbench.smgw.han.k461 import shown_status
from clsbench.smgw.han.times import local_text

URL = "/cgi-bin/hanservice.cgi"
MENU = (
    ("meterform", "button_menu_zaehler", "Z&auml;hler"),
    ("tariffform", "button_menu_auswertungsprofile", "Auswertungsprofile"),
    ("swversions", "button_menu_swversions", "Softwareversionen"),
    ("selftest", "button_menu_selbsttest", "Selbsttest"),
    ("logout", "button_menu_logout", "Abmelden"),
)
UNLIMITED = "unbegrenzt"
_NAMES = {
    "1-0:1.8.0*255": "Wirkenergie Bezug (+A)",
    "1-0:2.8.0*255": "Wirkenergie Einspeisung (-A)",
}

Options = Iterable[tuple[str, str]]


def page(tkn: str, firmware: str, now_ms: int, content: str) -> str:
    """A whole page around `content`."""
    buttons = "".join(
        f'<form method="post" action="{URL}">{_hidden("tkn", tkn)}{_hidden("action", action)}'
        f'<button id="{own_id}" type="submit">{text}</button></form>'
        for action, own_id, text in MENU
    )
    return (
        "<!DOCTYPE html>\n<html><head><title>Smart Meter Gateway</title>"
        '<meta charset="utf-8"></head>\n'
        f'<body>\n{content}\n<div id="menu">{buttons}</div>\n'
        f'<p id="div_fwversion">Firmware-Version: {escape(firmware)}</p>\n'
        f'<p id="div_timestamp">Systemzeit: {local_text(now_ms)} '
        f"(Letzte Synchronisation: {local_text(now_ms)})</p>\n</body></html>\n"
    )


def start(tkn: str, user: str) -> str:
    """What a log-in shows."""
    return f"<h1>Smart Meter Gateway</h1>{_hidden('tkn', tkn)}<p>Angemeldet: {escape(user)}</p>"


def meter_form(tkn: str, meters: Options) -> str:
    """Choice of a meter. meters: (mid, name)."""
    select = _select("meterform_select_meter", "mid", meters)
    return _choice("form_meterform", tkn, "showMeterProfile", select)


def meter_page(
    tkn: str, mid: str, meter_id: str, profile: MeterProfile, rows: list[Original]
) -> str:
    """A meter with its latest values."""
    facts = [
        ("Z&auml;hler-ID", meter_id.lower()),
        ("Name", meter_id),
        ("Kommunikationstyp", "TLS"),
        ("Protokoll-Typ", "SML"),
        ("Protokoll-Version", "1.04"),
        ("Ausleseintervall", str(profile.period_s)),
        ("Abfrageversuche", "3"),
        ("Z&auml;hleradresse", meter_id.lower()),
        ("Medium", "Elektrizit&auml;t"),
    ]
    return _facts(facts) + value_table(rows) + values_form(tkn, mid)


def values_form(tkn: str, mid: str) -> str:
    """Choice of a span for readings."""
    return (
        f'<form id="form_metervalues" name="input_metervalues" method="post" action="{URL}">'
        f"{_hidden('tkn', tkn)}{_hidden('mid', mid)}{_hidden('action', 'showMeterValues')}"
        '<input type="text" name="from"><input type="text" name="to">'
        '<input type="submit" value="Anzeigen"></form>'
    )


def value_table(rows: list[Original]) -> str:
    """Readings, newest first; the time stands in the first row of each instant."""
    ordered = sorted(rows, key=lambda row: (-row.at_ms, row.obis))
    lines, last = [], ""
    for number, row in enumerate(ordered):
        told = local_text(row.captured_ms or row.at_ms)
        lines.append(_value_row(number, row, told if told != last else ""))
        last = told
    return (
        '<table id="metervalue"><tr><th>Zeitstempel</th><th>Wert</th><th>Einheit</th>'
        f"<th>Status</th><th>Name</th><th>OBIS</th></tr>{''.join(lines)}</table>"
    )


def tariff_form(tkn: str, profiles: Options) -> str:
    """Choice of an evaluation profile. profiles: (tid, name)."""
    select = _select("tarifform_select_profile", "tid", profiles)
    return _choice("form_tarifform", tkn, "showTariffProfile", select)


def tariff_page(taf: TafProfile, meter_id: str, registers: Iterable[tuple[str, int, int]]) -> str:
    """An evaluation profile."""
    validity, point = taf.validity, taf.point
    stages = len(taf.time_of_use.stages) if taf.time_of_use else 1
    facts = [
        ("Profil-ID", taf.profile_id),
        ("Profilname", point.tariff_name or taf.profile_id),
        ("TAF-Typ", f"TAF-{taf.number}"),
        ("Registerperiode (sek.)", str(taf.period_ms // 1000)),
        ("Abrechnungsperiode (sek.)", str(2_592_000 * taf.billing_months)),
        ("Vorhaltezeit (Tage)", "460"),
        ("Beginn Validierungsperiode", local_text(validity.from_ms)),
        (
            "Ende Validierungsperiode",
            UNLIMITED if validity.to_ms is None else local_text(validity.to_ms),
        ),
        ("Alias", point.name or point.tariff_name or taf.profile_id),
        ("Z&auml;hlpunktbezeichnung", point.metering_point_id or point.point_id),
        ("Tarifstufen", str(stages)),
        ("Tag Beginn", "00:00:00"),
        ("Z&auml;hler-ID", meter_id.lower()),
    ]
    rows = "".join(
        f'<tr><td id="table_tafvalues_col_messgroesse">{escape(name_of(obis))}</td>'
        f'<td id="table_tafvalues_col_obis">{short_obis(obis)}</td></tr>'
        for obis, _, _ in registers
    )
    return f'{_facts(facts)}<table id="tafvalue">{rows}</table>'


def versions(components: Iterable[tuple[str, str, str]]) -> str:
    """Software: (component, version, checksum)."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(version)}</td><td>{escape(checksum)}</td></tr>"
        for name, version, checksum in components
    )
    head = "<tr><th>Komponente</th><th>Version</th><th>Pr&uuml;fsumme</th></tr>"
    return f'<table id="table_swversions">{head}{rows}</table>'


def message(text: str) -> str:
    """A sentence."""
    return f"<p>{escape(text)}</p>"


def short_obis(obis: str) -> str:
    """`1-0:1.8.0` for `1-0:1.8.0*255`."""
    return obis.removesuffix("*255")


def name_of(obis: str) -> str:
    """A register's name for people."""
    return _NAMES.get(obis, f"Register {short_obis(obis)}")


def kwh_text(row: Original) -> str:
    """The value in kWh with the digits it has, four at least."""
    value = Decimal(row.raw or 0).scaleb(row.scaler - 3)
    exponent = value.as_tuple().exponent
    places = max(4, -exponent if isinstance(exponent, int) else 0)
    return f"{value:.{places}f}"


def _value_row(number: int, row: Original, told: str) -> str:
    time_cell = f'<td id="table_metervalues_col_timestamp">{told}</td>' if told else ""
    valid = 1 if shown_status(row.ptb) == 0 else 2
    cells = (
        ("wert", kwh_text(row)),
        ("einheit", "kWh"),
        ("istvalide", str(valid)),
        ("name", escape(name_of(row.obis))),
        ("obis", short_obis(row.obis)),
    )
    shown = "".join(f'<td id="table_metervalues_col_{key}">{text}</td>' for key, text in cells)
    return f'<tr id="table_metervalues_line{number}">{time_cell}{shown}</tr>'


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    rows = "".join(
        f"<tr><td width=20%>{label}</td><td>{value if '&' in value else escape(value)}</td></tr>"
        for label, value in facts
    )
    return f'<table id="profil">{rows}</table>'


def _choice(name: str, tkn: str, action: str, select: str) -> str:
    return (
        f'<form id="{name}" name="{name}" method="post" action="{URL}">'
        f"{_hidden('tkn', tkn)}{_hidden('action', action)}{select}"
        '<input type="submit" value="Anzeigen"></form>'
    )


def _select(own_id: str, name: str, options: Options) -> str:
    shown = "".join(
        f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options
    )
    return f'<select id="{own_id}" name="{name}" size="1">{shown}</select>'


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'
