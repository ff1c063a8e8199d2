"""Load the TLS certificate of the server and its key from two files, and reload them when either file changes."""

import logging
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mailsettings.server.certificate_checks import warnings_about, weakness_of_key

_log = logging.getLogger("mailsettings.tls")
FileFingerprint = tuple[int, int, int]
"""Inode, modification time in ns and size of a file, through symbolic links; they change with the content."""


class CertificateUnusable(Exception):
    """The two files cannot be used; `str()` is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class TLSProfile:
    """What a TLS server speaks: protocols for ALPN; with `old`, TLS 1.0 and 1.1 too."""

    alpn: tuple[str, ...] = ()
    ciphers: str | None = None
    """The cipher suites of TLS 1.2; those of TLS 1.3 are all authenticated encryption."""
    old: bool = False


# Without CBC, and with forward secrecy (RFC 9325 4.2; RFC 9113 appendix A).
HTTPS = TLSProfile(alpn=("http/1.1",), ciphers="@SECLEVEL=2:ECDHE+AESGCM:ECDHE+CHACHA20")
SUBMISSION = TLSProfile()
OLD_SUBMISSION = TLSProfile(old=True)


def reloading_tls_context(certificate: Path, key: Path, profile: TLSProfile = HTTPS) -> ssl.SSLContext:
    """Return a context that presents the current content of the two files. Raises `CertificateUnusable`.

    Each TLS ClientHello checks the files with two system calls. The connection then continues with the newest
    usable context in place of the first. An unusable pair of files is logged once, and the pair before it stays.
    """
    shown = _CurrentContext(certificate, key, profile)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = shown.context()

    # OpenSSL also calls it for clients that send no server name (RFC 6066 3).
    first = shown.context()
    first.sni_callback = choose
    return first


class _CurrentContext:
    """The context of the last usable content of the two files."""

    def __init__(self, certificate: Path, key: Path, profile: TLSProfile) -> None:
        self._files = (certificate, key)
        self._profile = profile
        self._seen = _fingerprints(*self._files)
        self._context = _load_context(*self._files, profile)

    def context(self) -> ssl.SSLContext:
        found = _fingerprints(*self._files)
        if found != self._seen:
            # Recorded before the files are read: a change during the reading is found at the next handshake.
            self._seen = found
            try:
                self._context = _load_context(*self._files, self._profile)
            except CertificateUnusable as unusable:
                _log.error("The new TLS certificate is unusable; the previous one stays in use. %s", unusable)
            else:
                _log.info("Loaded a new TLS certificate.")
                warn_about(self._files[0])
        return self._context


def _new_context(profile: TLSProfile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if profile.alpn:
        context.set_alpn_protocols(list(profile.alpn))
    if not profile.old:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if profile.ciphers is not None:
            context.set_ciphers(profile.ciphers)
        return context
    # Since OpenSSL 3.0 the old versions also need security level 0: their signatures use SHA-1.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of the old versions
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


def warn_about(certificate: Path) -> None:
    """Log what may keep clients from trusting the certificate."""
    for warning in warnings_about(certificate):
        _log.warning("%s", warning)


def _load_context(certificate: Path, key: Path, profile: TLSProfile) -> ssl.SSLContext:
    context = _new_context(profile)

    def no_password() -> str:  # without a callback OpenSSL prompts on the terminal
        raise CertificateUnusable(f"The private key in {key} is encrypted. Store it without a passphrase.")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(
                f"The private key in {key} does not belong to the certificate in {certificate}."
            ) from error
        if (weakness := weakness_of_key(certificate)) is not None:
            raise CertificateUnusable(f"The certificate in {certificate} is not safe. {weakness}") from error
        raise CertificateUnusable(
            f"{certificate} and {key} must hold a certificate and its private key in PEM form; OpenSSL says "
            f"{error.reason or type(error).__name__}."
        ) from error
    except OSError as error:
        raise CertificateUnusable(f"Cannot read {certificate} or {key}: {error.strerror}.") from error
    return context


def _fingerprints(*files: Path) -> Sequence[FileFingerprint | None]:
    return [_fingerprint(file) for file in files]


def _fingerprint(file: Path) -> FileFingerprint | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
