"""The `[han]` section of the gateway's configuration, and the quirk profiles it may name.

A quirk profile is data (`quirks/*.toml`, or a file of one's own): what a real gateway was seen
to do to its clients. Source: threads of HAN clients (slow answers, values that stand still,
portal locked, 200 without a session, no renegotiation info).
"""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from clsbench import roleconfig
from clsbench.errors import BadInput
from clsbench.roleconfig import FilePath, Strict

QUIRKS_DIR = Path(__file__).with_name("quirks")

Curve = Literal["secp256r1", "secp384r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class Quirks(Strict):
    """What this gateway does to its HAN clients.

    delay_s: before each answer. stale_s: readings end this long ago. locked_s: every log-in is
    told that the portal is locked for so long. no_session: a log-in is answered 200 without a
    session cookie (PPC). no_renegotiation_info: the server's hello lacks RFC 5746, so that an
    OpenSSL 3 client refuses it; the handshake goes no further.
    """

    description: str = ""
    delay_s: Seconds = 0
    stale_s: Annotated[int, Field(ge=0)] = 0
    locked_s: Annotated[int, Field(ge=0)] = 0
    no_session: bool = False
    no_renegotiation_info: bool = False


class HanSection(roleconfig.Endpoint):
    """Where the HAN is served, on which curve, in which dialects, and how badly.

    profile: `secp256r1` for boards with stock MicroPython, `brainpool` as the BSI has it; keys of
    certificates lie on curves of that kind. curve: the only one of the key agreement, "" for all
    that the HAN allows. dialects: interfaces of makers, beside that of the BSI. quirks: name of a
    quirk profile; quirks_file: one of one's own. lock_tries wrong passwords of one log-in from
    one address lock it there for lock_s; requests_per_min: of one person. mdns: name or address
    of the network interface on which the HAN is announced, "" for none.
    """

    profile: Literal["secp256r1", "brainpool"] = "secp256r1"
    curve: Curve | Literal[""] = ""
    dialects: list[Literal["conexa", "ppc"]] = []
    quirks: str = ""
    quirks_file: FilePath | None = None
    lock_tries: int = Field(default=5, ge=1, le=1000)
    lock_s: float = Field(default=300, gt=0, le=86_400)
    requests_per_min: int = Field(default=600, ge=1, le=1_000_000)
    mdns: str = ""

    def quirk_profile(self) -> Quirks:
        """The quirks named. Raises BadInput."""
        if self.quirks_file is not None:
            return read_quirks(self.quirks_file)
        if not self.quirks:
            return Quirks()
        known = quirk_names()
        if self.quirks not in known:
            raise BadInput(f"[han] quirks '{self.quirks}': known are {', '.join(known)}")
        return read_quirks(QUIRKS_DIR / f"{self.quirks}.toml")


def quirk_names() -> list[str]:
    """The quirk profiles that come with the gateway."""
    return sorted(path.stem for path in QUIRKS_DIR.glob("*.toml"))


def read_quirks(path: Path) -> Quirks:
    """A quirk profile. Raises BadInput."""
    try:
        return Quirks.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, ValidationError) as error:
        raise BadInput(f"{path}: no quirk profile: {error}") from error
