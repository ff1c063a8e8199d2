"""The certificate that we show, and its key: read from two files, and again when either of them changes."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger("mailsettings.tls")
FileFingerprint = tuple[int, int, int]
"""Inode, time of change in ns and size of a file, through symbolic links: other numbers, other content."""


class CertificateUnusable(Exception):
    """The two files cannot be used as they are; `str()` is one sentence."""


def reloading_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context that shows what is in the two files at the time of each handshake. Raises `CertificateUnusable`.

    They are looked at when a client says hello: two calls of the system, which wait for nobody. The context that
    the connection goes on with is then the newest good one, in place of this one. A pair that cannot be used is
    told in the log once, and the one before it stays.
    """
    shown = _CurrentContext(certificate, key)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = shown.context()

    # OpenSSL calls it for clients too that name no server.
    first = shown.context()
    first.sni_callback = choose
    return first


class _CurrentContext:
    """The last pair of the two files that could be used."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = _fingerprints(*self._files)
        self._context = _load_context(*self._files)

    def context(self) -> ssl.SSLContext:
        found = _fingerprints(*self._files)
        if found != self._seen:
            # Noted before they are read: what changes meanwhile is seen at the next handshake.
            self._seen = found
            try:
                self._context = _load_context(*self._files)
            except CertificateUnusable as unusable:
                _log.error("The TLS certificate from before stays in use. %s", unusable)
            else:
                _log.info("There is a new TLS certificate.")
        return self._context


def _load_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:  # else OpenSSL asks for it on the terminal
        raise CertificateUnusable(f"The private key in {key} is encrypted; it must not be.")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(
                f"The key in {key} is not that of the certificate in {certificate}."
            ) from None
        raise CertificateUnusable(
            f"{certificate} and {key} do not hold a certificate and its private key in PEM form."
        ) from None
    except OSError as error:
        raise CertificateUnusable(f"{certificate} or {key} cannot be read: {error.strerror}.") from None
    return context


def _fingerprints(*files: Path) -> Sequence[FileFingerprint | None]:
    return [_fingerprint(file) for file in files]


def _fingerprint(file: Path) -> FileFingerprint | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
