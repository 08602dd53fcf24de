"""Reads a meter of the catalogue: the device's register map over a line's master.

Knows registers and what to tell a user when none come. The line is SerialMaster's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from clsbench.errors import BadInput, PeerRefused, PeerSilent
from clsbench.meters.catalogue import Identification, MeterModel, compact
from clsbench.meters.master import Exchange, SerialMaster
from clsbench.meters.modbus_document import EXCEPTIONS
from dicamm.metering.meter import MeterProfile
from dicamm.proto import obis


@dataclass(frozen=True, slots=True)
class Reading:
    """One value: raw * 10**scaler in the DLMS unit, taken at captured_ms (UTC)."""

    obis: str
    raw: int
    scaler: int
    unit: int
    captured_ms: int


@dataclass(frozen=True, slots=True)
class MeterReadings:
    """All values of one round. refused: OBIS -> why the meter gave no value there."""

    values: list[Reading]
    refused: dict[str, str] = field(default_factory=dict)


class MeterReader:
    """Reads one meter over a SerialMaster. wanted: OBIS texts, all the model has by default.

    meter_id: what messages call it; without, the serial number it tells in the first good round,
    where the model has a register for that. Raises BadInput for an OBIS code the model lacks.
    """

    def __init__(
        self,
        master: SerialMaster,
        model: MeterModel,
        unit: int,
        wanted: Iterable[str] = (),
        meter_id: str | None = None,
    ):
        self._master, self.model, self.unit = master, model, unit
        self.meter_id = meter_id
        self._asked = meter_id is not None
        self._profile = MeterProfile(compact(model))
        try:
            self._wanted = [obis.parse(text) for text in wanted] or self._profile.obis_codes
            self._plan = self._profile.plan(self._wanted)
        except ValueError as error:
            raise BadInput(f"{error}. See: clsbench meter show {model.model}") from error

    @property
    def port(self) -> str:
        return self._master.port

    @property
    def discarded(self) -> dict[str, int]:
        return self._master.discarded

    def read(self) -> MeterReadings:
        """One round. Raises PeerSilent (no usable reply) and PeerRefused (exception)."""
        values: list[Reading] = []
        refused: dict[str, str] = {}
        for function, address, count in self._plan:
            exchange = self._master.read(self.unit, function, address, count)
            if exchange.error != "none":
                raise self._problem(exchange)
            captured_ms = exchange.captured_ms
            for code, raw, scaler, dlms in self._profile.decode(
                function, address, exchange.payload
            ):
                if code in self._wanted:
                    values.append(Reading(obis.text(code), raw, scaler, dlms, captured_ms))
            refused.update(
                (obis.text(code), reason)
                for code, reason in self._profile.last_refused
                if code in self._wanted
            )
        self._ask_serial_number()
        return MeterReadings(values, refused)

    def _ask_serial_number(self) -> None:
        """Once, and only where the model has a register for it."""
        for entry in self.model.identification:
            if entry.name == "serial_number" and not self._asked:
                self.meter_id = identity(self._master, self.unit, entry)
        self._asked = True

    def _problem(self, exchange: Exchange) -> PeerSilent | PeerRefused:
        master, patience = self._master, self._master.patience
        who = f"meter {self.meter_id or self.model.model} on {master.port}"
        tries = f"({patience.tries} tries, {patience.timeout_ms} ms each)"
        evidence = f"Sent {_hex(exchange.sent)}, received {_received(exchange.received)}."
        guess = f"; {' and '.join(master.line.assumed)} assumed" if master.line.assumed else ""
        evidence += f"\n  Line: {master.line}{guess}."
        probe = f"clsbench meter probe --port {master.port}"
        if exchange.error == "exception":
            name = EXCEPTIONS.get(exchange.exception, "unknown to the standard")
            return PeerRefused(
                f"{who} refused: exception {exchange.exception}, {name}.\n  {evidence}\n"
                f"  Is it a {self.model.model}? Ask it: {probe}"
            )
        if exchange.error == "timeout":
            return PeerSilent(
                f"{who} did not answer {tries}.\n  {evidence}\n"
                f"  Check A/B polarity and termination, then: {probe}"
            )
        return PeerSilent(
            f"{who} gave no usable reply: {exchange.error} {tries}.\n  {evidence}\n"
            "  Check termination, baud and parity, and that no two meters share the address,"
            f" then: {probe}"
        )


def identity(master: SerialMaster, unit: int, entry: Identification) -> str | None:
    """An identification register as text; None where the meter gives none."""
    exchange = master.read(unit, entry.function, entry.address, entry.count)
    if exchange.error != "none":
        return None
    if entry.type != "string":
        return str(int.from_bytes(exchange.payload, "big"))
    text = exchange.payload.split(b"\0")[0].decode("latin-1").strip()
    return text if text and text.isprintable() else None


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()


def _received(data: bytes) -> str:
    return f"{_hex(data)} ({len(data)} bytes)" if data else "0 bytes"
