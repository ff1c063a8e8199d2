"""Failures of encryption."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SettingStep
from mailsettings.domain.findings.meaning import AFTER_CONNECT, Meaning
from mailsettings.domain.setting import Setting

_ASK = "Ask the server's administrator"

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.WRONG_CONNECTION_SECURITY: Meaning(
        "Wrong connection security for this port",
        "this port expects a different connection security.",
        ("Set the connection security that this port uses.",),
        (ProbeStage.GREET, ProbeStage.SECURE),
        Setting.SECURITY,
    ),
    FailureCode.STARTTLS_NOT_OFFERED: Meaning(
        "The server offers no STARTTLS",
        "the server does not offer STARTTLS on this port.",
        ("Use another port of this server: 465 with implicit TLS or 587 with STARTTLS are common.",),
        (ProbeStage.SECURE,),
        Setting.SECURITY,
    ),
    FailureCode.STARTTLS_REFUSED: Meaning(
        "The server refuses STARTTLS",
        "the server offers STARTTLS, then refuses the command.",
        ("Try again later.", "Use implicit TLS, commonly on port 465, or ask the server's administrator."),
        (ProbeStage.SECURE,),
        Setting.SECURITY,
    ),
    FailureCode.TLS_HANDSHAKE_FAILED: Meaning(
        "The TLS handshake failed",
        "the server ended the TLS handshake.",
        ("Show OpenSSL's message to the server's administrator; the server's log says more.",),
        (ProbeStage.SECURE,),
        Setting.SECURITY,
    ),
    FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED: Meaning(
        "The server requires a client certificate",
        "the server requires a client certificate, and this service does not have one.",
        (
            f"{_ASK} for a port or a rule that needs no client certificate.",
            "Or send through a mail server of your own that has the certificate.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.TLS_NAME_UNRECOGNIZED: Meaning(
        "The server does not know this host name",
        "the server has no certificate for the host name in the settings (TLS server name indication).",
        ("Use the host name in the server's certificate.", f"Or {_ASK.lower()} to serve this name."),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_KEY_EXCHANGE_WEAK: Meaning(
        "The server's key exchange is too weak",
        "the server's key or Diffie-Hellman parameters are too small to be safe.",
        (f"{_ASK} to use elliptic curves (ECDHE), or Diffie-Hellman parameters and keys of 2048 bits or more.",),
        (ProbeStage.SECURE,),
    ),
    FailureCode.TLS_NO_COMMON_ALGORITHM: Meaning(
        "No common TLS cipher",
        "the server and this service have no TLS cipher or key exchange group in common.",
        (f"{_ASK} to enable a modern cipher: ECDHE with AES-GCM or ChaCha20, and the group X25519 or P-256.",),
        (ProbeStage.SECURE,),
    ),
    FailureCode.TLS_SERVER_ERROR: Meaning(
        "The server's TLS is broken",
        "the server reports an internal error in the TLS handshake; often its certificate or key is missing.",
        (f"{_ASK} to look into its log at the time of this test.",),
        (ProbeStage.SECURE,),
    ),
    FailureCode.TLS_VERSION_TOO_OLD: Meaning(
        "The server's TLS is too old",
        "the server supports TLS 1.1 at most, which is no longer safe (RFC 8996).",
        (f"{_ASK} to enable TLS 1.2 or 1.3.",),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_EXPIRED: Meaning(
        "The certificate has expired",
        "a certificate of the server has expired.",
        (f"{_ASK} to renew it.", "If it is new, check this machine's clock."),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_NOT_YET_VALID: Meaning(
        "The certificate is not valid yet",
        "the validity of one of the server's certificates begins in the future.",
        ("Check this machine's clock.", f"{_ASK} for the right certificate."),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_SELF_SIGNED: Meaning(
        "The certificate is self-signed",
        "the certificate is self-signed, or its root is, and this service does not trust it.",
        (
            "Ask the server's administrator for the certificate's SHA-256 fingerprint, and compare it.",
            SettingStep(Setting.CERTIFICATE, "If it is the same, set the certificate as the one to trust."),
        ),
        (ProbeStage.SECURE,),
        Setting.CERTIFICATE,
    ),
    FailureCode.TLS_ISSUER_UNKNOWN: Meaning(
        "The certificate's issuer is unknown",
        "an authority issued the certificate that the server does not present and this service does not trust.",
        (
            SettingStep(
                Setting.CERTIFICATE,
                "If it is your organisation's own authority, set its certificate as the one to trust.",
            ),
            "Otherwise the server omits intermediate certificates: ask its administrator to send the whole chain.",
            SettingStep(
                Setting.CERTIFICATE,
                "Or check the certificate's SHA-256 fingerprint with the administrator, and trust it alone.",
            ),
        ),
        (ProbeStage.SECURE,),
        Setting.CERTIFICATE,
    ),
    FailureCode.TLS_NAME_MISMATCH: Meaning(
        "The certificate is for another name",
        "the certificate is not valid for the host in the settings.",
        ("Ask the server's administrator which of these names is right, and use it as the host.",),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_INVALID: Meaning(
        "The certificate is not acceptable",
        "the server's certificate is not trusted.",
        (f"{_ASK} for a certificate that can be verified.",),
        (ProbeStage.SECURE,),
        Setting.CERTIFICATE,
    ),
}
