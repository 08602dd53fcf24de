"""The emulated chip on its board: supply, reset, flash image, and virtual time.

Time passes only inside `run_until`, in the caller's thread. A cut supply loses everything but
the flash; what an erase or program under way leaves of it is the flash model's affair. Knows
nothing of what is wired to the pins (see `wiring`) or of the firmware.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rp2040py.boards import BoardSpec, FlashLayout
from rp2040py.device.base_device import ResetCause
from rp2040py.device.mp_device import MicroPythonDevice
from rp2040py.memory_map import FLASH_START_ADDRESS

from clsbench.errors import EnvironmentProblem
from clsbench.hil.rp2040.thumb import ThumbCore, thumb_core
from clsbench.hil.rp2040.upstream import mend

FLASH_BYTES = 2 * 1024 * 1024

Attach = Callable[[Any, Any], None]


class Chip:
    """image: UF2 of MicroPython. storage, storage_start: what the flash holds besides, and where.

    attach: called as (mcu, cdc) whenever the chip is powered on, before it runs. on_reset: called
    when it goes into reset or loses its supply: its pins float. mended: names of the upstream
    defects that were mended.
    """

    def __init__(self, image: Path, storage: bytes, storage_start: int, attach: Attach):
        self._image = image
        self._attach = attach
        self._layout = FlashLayout(storage_start, len(storage) // 4096, 4096)
        self._flash: bytes | None = None
        self._storage = storage
        self._device: Any = None
        self._core: ThumbCore | None = None
        self._before_ns = 0.0  # virtual time of the lives before this one
        self._cuts = 0
        self.mended: list[str] = []
        self.on_reset: Callable[[], None] = _nothing

    @property
    def powered(self) -> bool:
        """Whether the supply is on."""
        return self._device is not None

    @property
    def mcu(self) -> Any:
        """rp2040py's RP2040; only while powered."""
        return self._device.mcu

    @property
    def clock(self) -> Any:
        """The clock of this life of the chip; its alarms end with it."""
        return self._device.simulator.clock

    @property
    def now_ns(self) -> float:
        """Virtual time since this object was made."""
        return self._before_ns + (self.clock.nanos if self.powered else 0.0)

    @property
    def flash(self) -> bytes:
        """What the flash holds now."""
        if self.powered:
            return bytes(self.mcu.flash[:FLASH_BYTES])
        assert self._flash is not None
        return self._flash

    def power_on(self) -> None:
        """Raises EnvironmentProblem for an image that cannot be read."""
        spec = BoardSpec(image=str(self._image), layout=self._layout)
        try:
            device: Any = MicroPythonDevice(board=spec)
        except (OSError, ValueError) as error:
            raise EnvironmentProblem(
                f"image {self._image} is no UF2 of a Pico: {error}"
            ) from error
        flash = device.mcu.flash
        if self._flash is None:
            start = self._layout.fs_start
            flash[start : start + len(self._storage)] = self._storage
        else:
            flash[:FLASH_BYTES] = self._flash
        self.mended = mend(device.mcu, device.cdc)
        device.mcu.watchdog.on_watchdog_trigger = self._bite
        device.mcu.core.pc = FLASH_START_ADDRESS
        self._device = device
        self._core = thumb_core(device.simulator)
        self._attach(device.mcu, device.cdc)

    def power_off(self) -> None:
        """Cuts the supply at this instant."""
        if not self.powered:
            return
        self._cuts += 1
        if hasattr(self.mcu.ssi, "tear"):
            self.mcu.ssi.tear(self._cuts)
        self._flash = self.flash
        self.on_reset()
        self._before_ns = self.now_ns
        self._device = None

    def overwrite(self, address: int, data: bytes) -> None:
        """Puts other content into the flash while the supply is off."""
        flash = bytearray(self.flash)
        flash[address : address + len(data)] = data
        self._flash = bytes(flash)

    def reset(self) -> None:
        """The reset button, pressed and let go."""
        self.on_reset()
        self._device.hard_reset(cause=ResetCause.RUN_PIN)

    def _bite(self) -> None:
        self.on_reset()
        self._device.hard_reset(cause=ResetCause.WATCHDOG)

    def run_until(self, when_ns: float) -> None:
        """Lets time pass up to this instant; without supply it just passes."""
        if not self.powered:
            self._before_ns = max(self._before_ns, when_ns)
            return
        left_ns = when_ns - self.now_ns
        if left_ns <= 0:
            return
        simulator = self._device.simulator
        reached = []

        def stop() -> None:
            reached.append(True)
            simulator.stopped = True

        alarm = simulator.clock.create_alarm(stop)
        alarm.schedule(left_ns)
        try:
            while not reached:
                simulator.stopped = False
                (self._core.run if self._core else simulator._execute_batch)()
        finally:
            alarm.cancel()


def _nothing() -> None:
    pass
