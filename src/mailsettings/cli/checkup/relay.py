"""What `doctor` looks at of the relay: its certificate, its listeners, and whether it runs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailsettings.cli.findings import Finding, good, wrong
from mailsettings.domain.certificates import CertificateUnreadable, read_pem
from mailsettings.domain.listening import RunningRelay
from mailsettings.server.certificate import SUBMISSION, CertificateUnusable, reloading_tls_context
from mailsettings.server.status import AddressTaken, require_free
from mailsettings.settings import Settings

EXPIRES_SOON = timedelta(days=14)


def relay_findings(chosen: Settings, running: Sequence[RunningRelay]) -> Iterator[Finding]:
    """Yield whether relays run, and for this machine what would stop a relay or its devices."""
    if running:
        listeners = sorted({str(listener) for relay in running for listener in relay.listeners})
        yield good("relay", f"{len(running)} running, on {', '.join(listeners)}.")
    elif taken := _taken(chosen):
        yield wrong("relay", f"None runs here, and another program has its address. {taken}", "Choose others.")
    else:
        yield good("relay", "None runs; `mailsettings relay` starts one.")
    if chosen.relay_certificate is not None and (running or chosen.relay_tls_certificate is not None):
        yield _certificate(*chosen.relay_certificate)


def _taken(chosen: Settings) -> str | None:
    """Return which address of the relay another program uses, if the settings name addresses."""
    named = chosen.relay_listeners if "relay_listen" in chosen.model_fields_set else chosen.relay_old_tls
    try:
        for listener in named:
            require_free(listener.address)
    except AddressTaken as taken:
        return str(taken)
    return None


def _certificate(certificate: Path, key: Path) -> Finding:
    try:
        reloading_tls_context(certificate, key, SUBMISSION)
        end = read_pem(certificate.read_text(encoding="ascii"))[0].not_valid_after_utc
    except (CertificateUnusable, CertificateUnreadable) as unusable:
        return wrong("certificate", f"That of the relay cannot be used. {unusable}", "Put a working pair there.")
    days = (end - datetime.now(UTC)).days
    if end - datetime.now(UTC) < EXPIRES_SOON:
        ends = f"ends in {days} days" if days >= 0 else f"ended on {end:%Y-%m-%d}"
        return wrong("certificate", f"That of the relay {ends}, and devices refuse it then.", "Renew it.")
    return good("certificate", f"That of the relay is valid for {days} days.")
