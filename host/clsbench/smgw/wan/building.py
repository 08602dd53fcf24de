"""Puts time, wake-up and management together from the parts of a gateway. Holds no rule."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from clsbench.content_party import SUITES, ContentParty
from clsbench.smgw.clock import GatewayClock
from clsbench.smgw.config import SmgwConfig
from clsbench.smgw.config_wan import NTP
from clsbench.smgw.core.profiles import EmtProfile
from clsbench.smgw.journal import Journal
from clsbench.smgw.rest import Router
from clsbench.smgw.store import Store
from clsbench.smgw.wan.admin_content import AdminContent
from clsbench.smgw.wan.channels import Channel, PeerHandler
from clsbench.smgw.wan.time_sync import TimeSync
from clsbench.smgw.wan.wakeup import WakeUpPort
from clsbench.smgw.wan.wakeup_management import ManagementOnDemand
from clsbench.smgw.wan.wakeup_signer import WakeUpSigner
from clsbench.smgw.worker import StoreWorker


def build_time(
    config: SmgwConfig,
    context: ssl.SSLContext,
    clock: GatewayClock,
    journal: Journal,
    jumped: Callable[[], None],
) -> TimeSync | None:
    """The client of the time server; None where legal time is claimed by the configuration."""
    if config.time.source != NTP:
        return None
    retry_max_s = config.timing.retry_max_s
    return TimeSync(config.time, config.gwa.name, context, clock, journal, retry_max_s, jumped)


def build_wake_up(
    config: SmgwConfig,
    channel: Channel,
    store: Store,
    worker: StoreWorker,
    journal: Journal,
    clock: GatewayClock,
) -> tuple[Channel | ManagementOnDemand, WakeUpPort | None]:
    """(what runs the management connection, the wake-up port where there is one).

    Raises BadInput where this gateway's id cannot be woken.
    """
    management: Channel | ManagementOnDemand = channel
    follow = channel.wanted.set  # kept open always: a wake-up ends the pause before the next try
    timing = config.timing
    if config.gwa.management == "wake-up":
        management = ManagementOnDemand(
            channel, journal, config.gwa.idle_s, timing.connect_s, timing.retry_max_s
        )
        follow = management.ask
    if config.wakeup is None:
        return management, None
    pki = config.pki
    certificate = config.wakeup.certificate or pki.dir / "gwa" / "sig.crt.pem"
    signer = WakeUpSigner(certificate, pki.wan_trust, config.gwa.name)
    smgw_id = config.smgw.id
    port = WakeUpPort(config.wakeup, smgw_id, signer, store, worker, journal, clock, follow)
    return management, port


def build_admin(
    config: SmgwConfig, router: Router, clock: GatewayClock, journal: Journal
) -> PeerHandler:
    """Who answers the administrator: the router, behind the opener of envelopes if wanted."""
    if config.gwa.content == "plain":
        return router.answer
    pki = config.pki
    party = ContentParty(pki.dir / "smgw", pki.wan_trust)
    certificate = config.gwa.enc_certificate or pki.dir / "gwa" / "enc.crt.pem"
    suite = SUITES[config.gwa.suite]
    return AdminContent(party, certificate, suite, router, clock, journal).answer


def protector(
    config: SmgwConfig, emt: EmtProfile, clock: GatewayClock
) -> Callable[[bytes], bytes] | None:
    """What puts deliveries to this participant into envelopes; None where its profile wants none.

    Raises BadInput where its certificate is no encryption certificate.
    """
    if emt.content != "enveloped":
        return None
    pki = config.pki
    party = ContentParty(pki.dir / "smgw", pki.wan_trust)
    default = pki.dir / f"emt-{emt.name}" / "enc.crt.pem"
    certificate = Path(emt.enc_certificate) if emt.enc_certificate else default
    suite = SUITES[emt.suite]

    def protect(body: bytes) -> bytes:
        now = datetime.fromtimestamp(clock.now_ms() // 1000, UTC)
        return party.protect(body, certificate, now, suite)

    return protect
