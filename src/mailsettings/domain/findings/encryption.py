"""Failures of encryption."""

from collections.abc import Mapping

from mailsettings.domain.connection_test import FailureCode, ProbeStage, SettingStep
from mailsettings.domain.findings.meaning import AFTER_CONNECT, Meaning
from mailsettings.domain.setting import Setting

_ASK = "Ask whoever runs the server"

FINDINGS: Mapping[FailureCode, Meaning] = {
    FailureCode.WRONG_CONNECTION_SECURITY: Meaning(
        "Wrong connection security for this port",
        "this port expects another connection security.",
        ("Set the connection security that this port speaks.",),
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
        "the server offers STARTTLS and refuses it.",
        ("Try again later.", "Use implicit TLS, commonly on port 465, or ask whoever runs the server."),
        (ProbeStage.SECURE,),
        Setting.SECURITY,
    ),
    FailureCode.TLS_HANDSHAKE_FAILED: Meaning(
        "The TLS handshake failed",
        "the server ended the TLS handshake.",
        ("Show OpenSSL's words to whoever runs the server; its log says more.",),
        (ProbeStage.SECURE,),
        Setting.SECURITY,
    ),
    FailureCode.TLS_CLIENT_CERTIFICATE_REQUIRED: Meaning(
        "The server demands a client certificate",
        "the server demands a certificate from this machine, and this service has none to show.",
        (
            f"{_ASK} for a port or a rule that needs no client certificate.",
            "Or send through a mail server of your own that has the certificate.",
        ),
        AFTER_CONNECT,
    ),
    FailureCode.TLS_NAME_UNRECOGNIZED: Meaning(
        "The server does not know this host name",
        "the server has no certificate for the host name that was asked for (TLS server name indication).",
        ("Use the host name that the server's certificate is made for.", f"Or {_ASK.lower()} to serve this name."),
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
        "the server reports an error of its own in the TLS handshake; often its certificate or key is missing.",
        (f"{_ASK} to look into its log at the time of this test.",),
        (ProbeStage.SECURE,),
    ),
    FailureCode.TLS_VERSION_TOO_OLD: Meaning(
        "The server's TLS is too old",
        "the server speaks no TLS newer than 1.1, which is not safe any more (RFC 8996).",
        (f"{_ASK} to switch TLS 1.2 or 1.3 on.",),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_EXPIRED: Meaning(
        "The certificate has expired",
        "a certificate of the server has expired.",
        (f"{_ASK} to renew it.", "If it is new, see whether this machine's clock is right."),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_NOT_YET_VALID: Meaning(
        "The certificate is not valid yet",
        "a certificate of the server begins in the future.",
        ("See whether this machine's clock is right.", f"{_ASK} for the right certificate."),
        (ProbeStage.SECURE,),
        Setting.HOST,
    ),
    FailureCode.TLS_CERTIFICATE_SELF_SIGNED: Meaning(
        "The certificate is self-signed",
        "the certificate, or its authority, is the server's own and not trusted here.",
        (
            "Compare the certificate's SHA-256 fingerprint with what whoever runs the server says it is.",
            SettingStep(Setting.CERTIFICATE, "If it is the same, give the certificate as the one to trust."),
        ),
        (ProbeStage.SECURE,),
        Setting.CERTIFICATE,
    ),
    FailureCode.TLS_ISSUER_UNKNOWN: Meaning(
        "The certificate's issuer is not known",
        "the certificate was issued by an authority that is neither presented nor trusted here.",
        (
            SettingStep(
                Setting.CERTIFICATE,
                "If the authority is your organisation's own, give its certificate as the one to trust.",
            ),
            "Else the server leaves out the certificates in between: ask whoever runs it to send the chain.",
            SettingStep(
                Setting.CERTIFICATE,
                "Or compare the SHA-256 fingerprint of the presented certificate with them, and trust only it.",
            ),
        ),
        (ProbeStage.SECURE,),
        Setting.CERTIFICATE,
    ),
    FailureCode.TLS_NAME_MISMATCH: Meaning(
        "The certificate is for another name",
        "the certificate is not for the host as it is written in the settings.",
        ("Ask whoever runs the server which of the names is right, and use it as the host.",),
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
