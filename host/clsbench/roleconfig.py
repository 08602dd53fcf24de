"""What the role processes share: their TOML file, their ready line, their end by signal.

Knows no role. Each role gives its own pydantic model and its own service.
"""

import asyncio
import json
import logging
import signal
import sys
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
)

from clsbench.errors import BadInput, EnvironmentProblem
from clsbench.net.tls import Crl, Identity


class Strict(BaseModel):
    """A table of a configuration file: an unknown key is an error, not a guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _beside_file(path: Path, info: ValidationInfo) -> Path:
    return path if info.context is None else info.context["folder"] / path


def _text_beside_file(path: str, info: ValidationInfo) -> str:
    return str(_beside_file(Path(path), info)) if path else ""


# paths of a configuration file are relative to that file; the text may be empty
FilePath = Annotated[Path, AfterValidator(_beside_file)]
FileText = Annotated[str, AfterValidator(_text_beside_file)]


class Endpoint(Strict):
    """Where a port listens; port 0: the system chooses a free one.

    sni: the server name that clients must state in TLS, "" for any or none.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)
    sni: str = ""


class PkiDir(Strict):
    """`dir`: the folder that `clsbench pki init` made.

    crl: `required`, no TLS without revocation lists; `present`, they count from when they are
    there; `off`. warn_days: a certificate that ends within these days is told.
    """

    dir: FilePath
    crl: Literal["required", "present", "off"] = "present"
    warn_days: int = Field(default=30, ge=0, le=3650)

    @property
    def wan_trust(self) -> Path:
        """PEM with sub-CA and root of the WAN."""
        return self.dir / "wan-trust.pem"

    @property
    def wan_crl(self) -> Crl | None:
        """Revocation lists of the WAN, None when they are off."""
        return self._crl(self.dir / "wan-crl.pem")

    @property
    def han_crl(self) -> Crl | None:
        """Revocation list of the HAN's CA, None when it is off."""
        return self._crl(self.dir / "han" / "crl.pem")

    @property
    def han_identity(self) -> Identity:
        """The gateway's TLS certificate and key in the HAN."""
        return Identity(self.dir / "han" / "smgw.crt.pem", self.dir / "han" / "smgw.key.pem")

    def _crl(self, path: Path) -> Crl | None:
        return None if self.crl == "off" else Crl(path, self.crl == "required")

    def wan_identity(self, party: str) -> Identity:
        """TLS certificate and key of a party's folder: `gwa`, `smgw` or `emt-<name>`."""
        folder = self.dir / party
        return Identity(folder / "tls.crt.pem", folder / "tls.key.pem")


class Service(Protocol):
    """A role that can be run as a process."""

    async def start(self) -> dict[str, int]:
        """Opens the ports; returns name -> port number."""
        ...

    async def stop(self) -> None:
        """Closes everything."""
        ...


Model = TypeVar("Model", bound=BaseModel)

_RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_SECRET = ("password", "ha1", "store")  # a database's address may have a password in it
_MAX_SHOWN = 80  # characters of a value


async def _wait(ended: asyncio.Event) -> None:
    await ended.wait()


def load_config(path: Path, model: type[Model]) -> Model:
    """Reads and checks a TOML file. Raises BadInput naming file, key and remedy.

    Relative paths in it become relative to the file's folder.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path}: is not TOML: {error}") from error
    try:
        return model.model_validate(content, context={"folder": path.resolve().parent})
    except ValidationError as error:
        lines = [f"{path}: {finding_text(dict(found), model)}" for found in error.errors()]
        raise BadInput("\n  ".join(lines)) from error


def finding_text(found: dict, model: type[BaseModel] | None = None) -> str:
    """A mistake as pydantic tells it, with the key, its value, what is allowed and what to do.

    model: whose keys they are, for both ends of a range. A secret's value is not told.
    """
    key = ".".join(str(part) for part in found["loc"]) or "(file)"
    if found["type"] == "extra_forbidden":
        return f"key {key} is not known: remove it or correct its spelling"
    if found["type"] == "missing":
        return f"key {key} is missing: add it"
    value, wanted = _shown(found), rule_text(found)
    if found["type"] in _RANGES and (allowed := _range_of(found["loc"], model)):
        wanted = f"must be {allowed}"
    return f"key {key}: {value}{wanted}: correct its value"


def rule_text(found: dict) -> str:
    """The rule that was broken, without pydantic's own preface."""
    return found["msg"].removeprefix("Value error, ")


def _shown(found: dict) -> str:
    """The value as a file has it, with a colon behind; "" where it is none to be told."""
    value = found.get("input")
    told = isinstance(value, str | int | float) and len(str(value)) <= _MAX_SHOWN
    if not told or any(part in _SECRET for part in found["loc"]):
        return ""
    return f"{json.dumps(value, ensure_ascii=False)}: "


def _range_of(loc: tuple, model: Any) -> str:
    """`300 to 921600`, by the model's own rules; "" where they are not found."""
    bounds: dict[str, Any] = {}
    for part in loc:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return ""
        bounds = {
            name: getattr(rule, name)
            for rule in (*field.metadata, *_rules_in(field.annotation))
            for name in ("ge", "gt", "le", "lt")
            if hasattr(rule, name)
        }
        model = _model_in(field.annotation)
    words = {"ge": "at least {}", "gt": "more than {}", "le": "at most {}", "lt": "less than {}"}
    if set(bounds) == {"ge", "le"}:
        return f"{bounds['ge']} to {bounds['le']}"
    return " and ".join(words[name].format(bound) for name, bound in bounds.items())


def _rules_in(annotation: Any) -> list[Any]:
    """The rules of `Annotated[...] | None`."""
    parts = [part for part in get_args(annotation) if hasattr(part, "__metadata__")]
    rules = [rule for part in parts for rule in part.__metadata__]
    return [each for rule in rules for each in getattr(rule, "metadata", [rule])]


def _model_in(annotation: Any) -> Any:
    """The table that a key holds, in a list or not."""
    inner = [_model_in(each) for each in get_args(annotation)]
    found = [each for each in inner if each is not None]
    if found:
        return found[0]
    return annotation if hasattr(annotation, "model_fields") else None


def log_to_stderr(role: str) -> None:
    """Sends this process's log to stderr, each line naming the role."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s {role} %(levelname)s %(name)s: %(message)s",
    )


async def run_until_signal(
    role: str, service: Service, run_until: Callable[[asyncio.Event], Awaitable[object]] = _wait
) -> None:
    """Starts the service, prints the one ready line, ends on SIGTERM or SIGINT.

    run_until: returns when the event is set, or raises when the service cannot go on.
    """
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        ports = await service.start()
        sys.stdout.write(json.dumps({"ready": True, "role": role, "ports": ports}) + "\n")
        sys.stdout.flush()
        await run_until(ended)
    finally:
        await service.stop()


def state_dir(path: Path) -> Path:
    """The role's folder, made where it is missing, closed to others. Raises EnvironmentProblem."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(f"state_dir {path}: cannot be made: {error.strerror}") from error
    return path
