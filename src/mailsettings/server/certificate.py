"""Load the TLS certificate of the server and its key from two files, and reload them when either file changes."""

import logging
import ssl
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger("mailsettings.tls")
FileFingerprint = tuple[int, int, int]
"""Inode, modification time in ns and size of a file, through symbolic links; they change with the content."""


class CertificateUnusable(Exception):
    """The two files cannot be used; `str()` is one sentence that says why."""


def reloading_tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context that presents the current content of the two files. Raises `CertificateUnusable`.

    Each TLS ClientHello checks the files with two system calls. The connection then continues with the newest
    usable context in place of the first. An unusable pair of files is logged once, and the pair before it stays.
    """
    shown = _CurrentContext(certificate, key)

    def choose(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = shown.context()

    # OpenSSL also calls it for clients that send no server name (RFC 6066 3).
    first = shown.context()
    first.sni_callback = choose
    return first


class _CurrentContext:
    """The context of the last usable content of the two files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = _fingerprints(*self._files)
        self._context = _load_context(*self._files)

    def context(self) -> ssl.SSLContext:
        found = _fingerprints(*self._files)
        if found != self._seen:
            # Recorded before the files are read: a change during the reading is found at the next handshake.
            self._seen = found
            try:
                self._context = _load_context(*self._files)
            except CertificateUnusable as unusable:
                _log.error("The new TLS certificate is unusable; the previous one stays in use. %s", unusable)
            else:
                _log.info("Loaded a new TLS certificate.")
        return self._context


def _load_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])

    def no_password() -> str:  # without a callback OpenSSL prompts on the terminal
        raise CertificateUnusable(f"The private key in {key} is encrypted. Store it without a passphrase.")

    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateUnusable(
                f"The private key in {key} does not belong to the certificate in {certificate}."
            ) from None
        raise CertificateUnusable(
            f"{certificate} and {key} must hold a certificate and its private key in PEM form."
        ) from None
    except OSError as error:
        raise CertificateUnusable(f"Cannot read {certificate} or {key}: {error.strerror}.") from None
    return context


def _fingerprints(*files: Path) -> Sequence[FileFingerprint | None]:
    return [_fingerprint(file) for file in files]


def _fingerprint(file: Path) -> FileFingerprint | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
