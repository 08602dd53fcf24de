"""Profiles of those around the gateway: meters and how they are read, people, CLS, proxies, EMTs.

Plain values; references between them are checked by `profiles`.
Sources: BSI TR-03109-1 (kinds of profiles), Detailspezifikationen 2.0 (proxy profile), FlexMC
final report (EMT profile with the use case of external events).
"""

from dataclasses import dataclass, field

from clsbench.smgw.core.validity import ALWAYS, Validity

ANY_METER = "*"

LINKS = ("sml-push", "sml-pull", "hdlc-tls", "mbus", "wmbus", "none")

CERTIFICATE = "certificate"
PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class MeterProfile:
    """A meter on the LMN. obis: registers wanted, in full form; empty = all with a unit.

    period_s: seconds between two due times of its original list. communication: name of the
    CommunicationProfile, "" = none. active: False = known, not read. substitutes: a missed
    due time takes the last reading before it, marked.
    """

    meter_id: str
    obis: tuple[str, ...] = ()
    period_s: int = 900
    communication: str = ""
    active: bool = True
    substitutes: bool = False
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class CommunicationProfile:
    """How a meter is reached. link: one of LINKS; port: serial port or address.

    trust: what the link's security leans on: a certificate's fingerprint, or the name of a
    key file; never the key. pull_s: seconds between requests where the gateway asks.
    """

    name: str
    link: str
    port: str = ""
    baud: int = 9600
    address: int | None = None
    pull_s: int | None = None
    trust: str = ""


@dataclass(frozen=True, slots=True)
class Ha1:
    """What HTTP Digest needs of a password: its hash with log-in name and realm, in lower hex, for
    each algorithm (RFC 7616 section 3.4.2). It opens this realm, so it is a secret. "" = none."""

    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True, slots=True)
class ConsumerProfile:
    """A final consumer who may look at the own data. name: the `final_consumer` of profiles.

    login and ha1: HTTP Digest; fingerprint: SHA-256 of the DER of the certificate CON_HAN
    in lower hex. Empty = that way in is closed.
    """

    name: str
    login: str = ""
    ha1: Ha1 = field(default=Ha1(), repr=False)
    fingerprint: str = ""
    customer_id: str = ""
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class ServiceProfile:
    """A service technician: by certificate SRV_HAN or by HTTP Digest, as ConsumerProfile."""

    name: str
    login: str = ""
    ha1: Ha1 = field(default=Ha1(), repr=False)
    fingerprint: str = ""
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class ClsProfile:
    """A control box; its certificate is pinned. fingerprint: SHA-256 of the DER, lower hex."""

    cls_id: str
    fingerprint: str
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a WAN partner listens; sni: the server name stated to it in TLS, "" for none."""

    host: str
    port: int
    sni: str = ""


@dataclass(frozen=True, slots=True)
class EmtProfile:
    """An external market participant and the control boxes it may reach.

    external_events: the use case that lets it cause events and send commands over its channel.
    content: what is delivered to it is "signed", or "enveloped" too, with `suite`, for the
    holder of `enc_certificate` ("": that of the PKI directory).
    """

    name: str
    channel: Endpoint
    delivery: Endpoint
    cls_ids: tuple[str, ...] = ()
    external_events: bool = True
    content: str = "signed"
    suite: str = "gcm"
    enc_certificate: str = ""
    validity: Validity = ALWAYS


@dataclass(frozen=True, slots=True)
class ProxyProfile:
    """A transparent channel between a CLS and a market participant (HKS TLS proxy, SOCKS-TLS).

    local_server_name: what a CONNECT of the CLS must name (1..63 of 0-9 a-z - .).
    opened_by: "cls", "emt" or "smgw". cls_peer: where the CLS listens, for the two that the
    gateway opens. wan_peers: tried in order. tls_sni, wan_tls_sni: server_name sent to CLS and
    WAN.
    """

    name: str
    cls_id: str
    emt: str
    local_server_name: str
    wan_peers: tuple[Endpoint, ...] = ()
    opened_by: str = "cls"
    cls_peer: Endpoint | None = None
    tls_sni: str = ""
    wan_tls_sni: str = ""
    validity: Validity = ALWAYS
