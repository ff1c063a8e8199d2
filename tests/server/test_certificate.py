"""The server's TLS certificate: handshakes present the files' content while it is usable."""

import logging
import ssl
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from mailsettings.server.certificate import (
    OLD_SUBMISSION,
    SUBMISSION,
    CertificateUnusable,
    reloading_tls_context,
    warn_about,
)

AUTHORITY = trustme.CA()
PAIRS = [AUTHORITY.issue_cert("localhost") for _ in range(3)]
CANARY = "canary-1b0f44d7"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return tmp_path / "tls.crt"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "tls.key"


def write(certificate: Path, key: Path, pair: trustme.LeafCert) -> None:
    certificate.write_bytes(b"".join(blob.bytes() for blob in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())


def shown_by(context: ssl.SSLContext, name: str | None = "localhost", **options: ssl.TLSVersion) -> bytes | None:
    """The certificate that a client is shown, without a network."""
    trust = ssl.create_default_context()
    AUTHORITY.configure_trust(trust)
    trust.check_hostname = False
    trust.set_ciphers("DEFAULT:@SECLEVEL=0")  # so that it is not the client who refuses an old version
    for option, value in options.items():
        setattr(trust, option, value)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True)


def der(pair: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert_chain_pems[0].bytes().decode())


@pytest.mark.parametrize("name", ["localhost", None], ids=["by name", "by address"])
def test_a_new_pair_is_shown_at_the_next_handshake(certificate: Path, key: Path, name: str | None) -> None:
    write(certificate, key, PAIRS[0])
    context = reloading_tls_context(certificate, key)
    shown = [shown_by(context, name)]
    for pair in PAIRS[1:]:
        write(certificate, key, pair)
        shown += [shown_by(context, name), shown_by(context, name)]

    assert shown == [der(PAIRS[number]) for number in (0, 1, 1, 2, 2)]


def test_a_pair_swapped_by_a_symbolic_link_is_loaded(tmp_path: Path) -> None:
    for number, pair in enumerate(PAIRS[:2]):
        folder = tmp_path / f"..{number}"
        folder.mkdir()
        write(folder / "tls.crt", folder / "tls.key", pair)
    (tmp_path / "..data").symlink_to("..0")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    context = reloading_tls_context(tmp_path / "tls.crt", tmp_path / "tls.key")
    before = shown_by(context)
    (tmp_path / "..new").symlink_to("..1")
    (tmp_path / "..new").rename(tmp_path / "..data")

    assert (before, shown_by(context)) == (der(PAIRS[0]), der(PAIRS[1]))


def no_certificate(certificate: Path, key: Path) -> None:
    certificate.write_text(CANARY)


def half_of_another_pair(certificate: Path, key: Path) -> None:
    key.write_bytes(PAIRS[1].private_key_pem.bytes())


def nothing(certificate: Path, key: Path) -> None:
    key.unlink()


def an_encrypted_key(certificate: Path, key: Path) -> None:
    loaded = load_pem_private_key(key.read_bytes(), None)
    locked = BestAvailableEncryption(CANARY.encode())
    key.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))


BAD: dict[Callable[[Path, Path], None], str] = {
    no_certificate: "must hold a certificate and its private key",
    half_of_another_pair: "does not belong to the certificate",
    nothing: "No such file or directory",
    an_encrypted_key: "is encrypted",
}


def test_old_devices_get_tls_1_0_only_where_it_is_chosen(certificate: Path, key: Path) -> None:
    write(certificate, key, PAIRS[0])
    old = {"maximum_version": ssl.TLSVersion.TLSv1, "minimum_version": ssl.TLSVersion.TLSv1}

    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        assert shown_by(reloading_tls_context(certificate, key, OLD_SUBMISSION), "localhost", **old) == der(
            PAIRS[0]
        )
        with pytest.raises(ssl.SSLError):
            shown_by(reloading_tls_context(certificate, key, SUBMISSION), "localhost", **old)


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_unusable_pair_is_logged_once_and_the_old_stays(
    certificate: Path, key: Path, spoil: Callable[[Path, Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    write(certificate, key, PAIRS[0])
    context = reloading_tls_context(certificate, key)
    spoil(certificate, key)
    with caplog.at_level(logging.WARNING):
        shown = [shown_by(context), shown_by(context)]
    told = [record.getMessage() for record in caplog.records]
    write(certificate, key, PAIRS[2])

    assert [*shown, shown_by(context)] == [der(PAIRS[number]) for number in (0, 0, 2)]
    assert len(told) == 1
    assert BAD[spoil] in told[0]
    assert CANARY not in told[0]


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_a_bad_pair_at_the_start_is_one_sentence(
    certificate: Path, key: Path, spoil: Callable[[Path, Path], None]
) -> None:
    write(certificate, key, PAIRS[0])
    spoil(certificate, key)

    with pytest.raises(CertificateUnusable, match=BAD[spoil]) as refused:
        reloading_tls_context(certificate, key)
    assert CANARY not in str(refused.value)


def test_nothing_below_tls_1_2_is_spoken(certificate: Path, key: Path) -> None:
    write(certificate, key, PAIRS[0])
    context = reloading_tls_context(certificate, key)

    assert shown_by(context, maximum_version=ssl.TLSVersion.TLSv1_2) == der(PAIRS[0])
    with (
        pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"),
        pytest.warns(DeprecationWarning, match="TLSv1"),
    ):
        shown_by(context, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA384", "AES128-SHA"])
def test_tls_1_2_is_spoken_without_cbc(certificate: Path, key: Path, suite: str) -> None:
    """Names of OpenSSL; RFC 9325 4.2 recommends only the first kind."""
    write(certificate, key, PAIRS[0])
    names = {each["name"] for each in reloading_tls_context(certificate, key).get_ciphers()}

    assert (suite in names) == suite.endswith("GCM-SHA256")
    assert not [name for name in names if not any(kind in name for kind in ("GCM", "POLY1305", "CCM"))]


def test_a_weak_key_is_named(certificate: Path, key: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, weak.public_key(), 1, now, now + timedelta(1))
    certificate.write_bytes(builder.sign(weak, SHA256()).public_bytes(Encoding.PEM))
    key.write_bytes(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    with pytest.raises(CertificateUnusable, match="RSA key has 1024 bits; use a key of 2048 bits or more"):
        reloading_tls_context(certificate, key)


def test_the_reason_of_openssl_is_told(certificate: Path, key: Path) -> None:
    certificate.write_text("nothing")
    key.write_text("nothing")
    with pytest.raises(CertificateUnusable, match=r"OpenSSL says [A-Z_]+"):
        reloading_tls_context(certificate, key)


def test_a_leaf_without_its_chain_is_warned_of(certificate: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair = AUTHORITY.create_child_ca().issue_cert("localhost")
    chain = [blob.bytes() for blob in pair.cert_chain_pems]
    certificate.write_bytes(b"".join(chain))
    warn_about(certificate)
    before = list(caplog.messages)
    certificate.write_bytes(chain[0])
    warn_about(certificate)

    assert before == []
    assert len(caplog.messages) == 1
    assert "append its certificate" in caplog.messages[0]


def test_a_certificate_that_signed_itself_needs_no_chain(
    certificate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate.write_bytes(AUTHORITY.cert_pem.bytes())
    warn_about(certificate)
    certificate.unlink()
    warn_about(certificate)

    assert caplog.messages == []
