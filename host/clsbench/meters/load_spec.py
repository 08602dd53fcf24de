"""What a played meter measures, from the text of an option: `6000`, `rod:9000`, `house`.

Knows the loads there are; the meter that shows them is elsewhere.
"""

from clsbench.errors import BadInput
from clsbench.meters.load import BaseLoad, Feeder, HeatingRod, Load, Plant

FEEDER = "mid"
_MAX_W = 1_000_000
_FORMS = "watts (6000), rod or rod:WATTS, house"


class ConstantLoad(Load):
    """The same power all the time."""

    def __init__(self, power_w: int, *, start_ms: int | None = None):
        super().__init__(start_ms)
        self._power_w = self.max_power_w = power_w

    @property
    def power_w(self) -> int:
        """The power it was made with."""
        return self._power_w


def plant_of(text: str, start_ms: int) -> Plant:
    """The plant that `text` describes, its feeder FEEDER, its time beginning at `start_ms`.

    A number: constant power in W. `rod`, `rod:WATTS`: a heating rod switched on in a tank that
    its thermostat keeps warm. `house`: a household through the day. Raises BadInput.
    """
    kind, _, power = text.partition(":")
    rod = HeatingRod(_watts(power or "6000", text, 1), start_ms=start_ms)
    if kind == "rod":
        plant = Plant(rod)
        plant.advance(start_ms)
        plant.set_relay(True, start_ms)
        return plant
    if kind == "house" and not power:
        load: Load = BaseLoad(start_ms=start_ms)
    else:
        load = ConstantLoad(_watts(text, text, 0), start_ms=start_ms)
    return Plant(rod, {FEEDER: Feeder([load])})


def _watts(digits: str, text: str, least: int) -> int:
    try:
        watts = int(digits)
    except ValueError as error:
        raise BadInput(f"load '{text}' is unknown; known: {_FORMS}") from error
    if not least <= watts <= _MAX_W:
        raise BadInput(f"load '{text}': {least} to {_MAX_W} W are wanted")
    return watts
