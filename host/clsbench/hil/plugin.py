"""pytest plug-in: one suite on whatever boards are named. `-p clsbench.hil.plugin --board unix`

Fixtures: `bench` (a started DICAMM that answers and leaves no trace behind), `board`, `meter`,
`gateway`. `@pytest.mark.needs("power_cut")`: what a board must be able to do; elsewhere the test
is skipped and says why. `@pytest.mark.long`: only with `--board`, which asks for the long form.

Before each test the device has to answer, else it is reset, then cut from its supply; after each
test the relay is open, nothing is left running, and its heap has not grown.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clsbench.hil import boards
from clsbench.hil.bench_rules import Watch
from clsbench.hil.benching import Bench
from clsbench.hil.board import CAPABILITIES, NET, RECORDS, UART, Board
from clsbench.hil.boards import BoardOptions
from clsbench.hil.meter import BenchMeter
from clsbench.hil.serial_board import RELAY_LINES, SerialOptions

if TYPE_CHECKING:
    from clsbench.hil.gateway import HilGateway

DEFAULT_BOARDS = [boards.UNIX, boards.RP2040]
EMULATED_LIMIT_S = 3600  # of one test by the wall's clock; its deadlines are board time
_RIG = "hil_rig"
_FAILED = pytest.StashKey[bool]()
_RECOVERIES = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "boards (clsbench)")
    group.addoption(
        "--board",
        action="append",
        metavar="unix|rp2040|PORT|labgrid:TARGET",
        help="board to run on, in the long form; repeatable. Without it: unix, and rp2040 where "
        "an image is named, in the short form",
    )
    group.addoption("--uf2", type=Path, metavar="FILE", help="MicroPython image for rp2040")
    group.addoption("--power", default="", metavar="CMD", help="switch: CMD on, CMD off")
    group.addoption("--bus", default="", metavar="PORT", help="RS-485 adapter on a board's bus")
    group.addoption(
        "--relay-line",
        default="",
        choices=("", *RELAY_LINES),
        help="modem line of a board's port that the relay's contact drives",
    )
    group.addoption("--firmware", default="", metavar="NAME", help="folder in boards/ of a PORT")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(capability, ...): what a board must be able to do")
    config.addinivalue_line("markers", "long: runs only in the long form (--board)")
    config.stash[_RECOVERIES] = []
    image = config.getoption("--uf2")
    if image is not None:  # for tests that take the image without a bench, too
        os.environ[boards.UF2_VARIABLE] = str(image.resolve())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if _RIG in metafunc.fixturenames:
        named = metafunc.config.getoption("--board") or DEFAULT_BOARDS
        metafunc.parametrize(_RIG, named, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _board_of(item) == boards.RP2040:
            item.add_marker(pytest.mark.timeout(EMULATED_LIMIT_S))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips, before anything is started, what this board cannot do."""
    name = _board_of(item)
    if name is None:
        return
    options = _options(item.config)
    reason = boards.missing(name, options)
    if not reason and item.get_closest_marker("long") and not _is_long(item.config):
        reason = "long form only: make hil"
    if not reason:
        wanted = {UART}.union(*(mark.args for mark in item.iter_markers("needs")))
        lacking = sorted(wanted - boards.caps(name, options))
        reason = " and ".join(f"{each} ({CAPABILITIES[each]})" for each in lacking)
        reason = f"board {name} lacks {reason}" if reason else ""
    if reason:
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    emulated = boards.RP2040 in (config.getoption("--board") or ())
    if (
        emulated
        and not boards.missing(boards.RP2040, _options(config))
        and boards.emulator_is_slow()
    ):
        terminalreporter.write_line("rp2040: no C compiler, so the board ran 15 times slower")
    for line in config.stash[_RECOVERIES]:
        terminalreporter.write_line(f"recovered: {line}")


@pytest.fixture(scope="session")
def hil_rig(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """A bench around a started board, one for all tests on it."""
    config = request.config
    work = tmp_path_factory.mktemp("hil")
    cache = getattr(config, "cache", None)  # pytest may run without
    compiled = cache.mkdir("clsbench-firmware") if cache else None
    board = boards.make(request.param, _options(config), work)
    bench = Bench(board, work, compiled, is_long=_is_long(config))
    try:
        bench.start()
        yield bench
    finally:
        board.close()


@pytest.fixture(scope="session")
def hil_watch(hil_rig: Bench) -> Watch:
    """What must hold after each test on the bench."""
    return Watch(hil_rig)


@pytest.fixture
def bench(request: pytest.FixtureRequest, hil_rig: Bench, hil_watch: Watch) -> Iterator[Bench]:
    """A DICAMM that answers, its meter healthy, its time set, its relay open."""
    how, status = hil_rig.recover()
    if how:
        request.node.user_properties.append(("recovered", how))  # into the JUnit XML
        request.config.stash[_RECOVERIES].append(f"{request.node.nodeid} by {how}")
    hil_rig.mark(status)
    hil_watch.begin(status)
    yield hil_rig
    hil_watch.calm()
    if not request.node.stash.get(_FAILED, False):
        hil_watch.check()


@pytest.fixture
def board(bench: Bench) -> Board:
    """The board of `bench`."""
    return bench.board


@pytest.fixture
def meter(bench: Bench) -> BenchMeter:
    """The meter on its bus."""
    return bench.meter


@pytest.fixture
def gateway(bench: Bench, tmp_path: Path) -> "Iterator[HilGateway]":
    """A gateway that the device is provisioned for, running; the device has no records yet.
    Needs `net` and `records`."""
    if not {NET, RECORDS} <= bench.board.caps:
        pytest.fail(f"a test that uses the gateway must say needs({NET!r}, {RECORDS!r})")
    bench.empty_ring()
    from clsbench.hil.gateway import HilGateway  # noqa: PLC0415 - a whole SMGW, for few tests

    with HilGateway(bench.pki, tmp_path, bench.utc_ms()) as running:
        bench.configure(**running.settings)
        yield running
        bench.configure()


def _board_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(_RIG) if callspec is not None else None


def _is_long(config: pytest.Config) -> bool:
    return bool(config.getoption("--board"))


def _options(config: pytest.Config) -> BoardOptions:
    given: Any = config.option
    serial = SerialOptions(
        power=given.power,
        bus=given.bus,
        relay_line=given.relay_line,
        firmware=given.firmware,
    )
    env = getattr(given, "lg_env", None) or os.environ.get("LG_ENV", "")  # labgrid's own option
    return BoardOptions(uf2=given.uf2, serial=serial, labgrid_env=env)
