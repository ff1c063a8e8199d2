"""From what libraries raise to why the test failed: one table for replies, one for everything else."""

import ssl
from collections.abc import Mapping, Sequence

import aiosmtplib

from mailsettings.domain.probe import FailureCode, Outcome, ProbeFailure, ProbeStage
from mailsettings.domain.setting import Setting
from mailsettings.smtp.oauth2 import TokenRefused
from mailsettings.smtp.replies import reply, shown

FOREIGN = (aiosmtplib.SMTPException, OSError, ValueError, OverflowError, TypeError, TokenRefused)
"""What aiosmtplib, ssl, sockets and the token library have been seen to raise; `TimeoutError` is an `OSError`."""

Reason = tuple[FailureCode, str, str, Setting | None]

# What it means when the server refuses, by the stage in which it does.
_REFUSALS: Mapping[ProbeStage, Reason] = {
    ProbeStage.GREET: (
        FailureCode.SERVER_REFUSED,
        "the server does not want to talk to us.",
        "Ask who runs the server whether it takes mail from this address; the reply says why it does not.",
        Setting.HOST,
    ),
    ProbeStage.SECURE: (
        FailureCode.STARTTLS_REFUSED,
        "the server offers STARTTLS and refuses it.",
        "Try again later, use implicit TLS, or ask who runs the server.",
        Setting.SECURITY,
    ),
    ProbeStage.AUTHENTICATE: (
        FailureCode.AUTHENTICATION_FAILED,
        "the server refused the login.",
        "Check the user name and the password; many providers want a password made for this purpose.",
        Setting.PASSWORD,
    ),
    ProbeStage.SENDER: (
        FailureCode.SENDER_REFUSED,
        "the server does not take mail from this sender.",
        "Use a sender address that this login may send as, or log in if the server wants that.",
        Setting.SENDER_ADDRESS,
    ),
    ProbeStage.RECIPIENT: (
        FailureCode.RECIPIENT_REFUSED,
        "the server does not take mail for this recipient.",
        "Check the address; a server that forwards to other domains commonly wants a login first.",
        Setting.RECIPIENT,
    ),
    ProbeStage.CONTENT: (
        FailureCode.MESSAGE_REFUSED,
        "the server took the addresses and refused the message.",
        "The reply says why; often the sender address does not fit the login.",
        Setting.SENDER_ADDRESS,
    ),
}
_DEADLINE: Mapping[ProbeStage, Setting | None] = {
    ProbeStage.RESOLVE: Setting.HOST,
    ProbeStage.CONNECT: Setting.PORT,
    ProbeStage.GREET: Setting.SECURITY,
    ProbeStage.SECURE: Setting.SECURITY,
}
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
"""OpenSSL's reasons for a first answer that is no TLS at all."""


class Refused(Exception):
    """A stage, the running one unless another is named, ends in a failure of our own finding."""

    def __init__(
        self,
        code: FailureCode,
        explanation: str,
        advice: str,
        setting: Setting | None = None,
        stage: ProbeStage | None = None,
    ) -> None:
        super().__init__(code)
        self.reason: Reason = (code, explanation, advice, setting)
        self.stage = stage


def explain(error: Exception, stage: ProbeStage, hidden: Sequence[str]) -> ProbeFailure:
    """What *error* means in *stage*; none of *hidden* is in the text."""
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        code, explanation, advice, setting = _REFUSALS[stage]
        return ProbeFailure(code, stage, explanation, advice, setting, reply(error.code, error.message, hidden))
    code, explanation, advice, setting = _reason(_cause(error), stage, hidden)
    return ProbeFailure(code, stage, explanation, advice, setting)


def outcome_of(failure: ProbeFailure) -> Outcome:
    """Whether the failed stage is known to have failed."""
    return Outcome.UNKNOWN if failure.code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED


def _cause(error: Exception) -> BaseException:
    """The library wraps what goes wrong while connecting; with STARTTLS the same comes bare."""
    wrapped = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) else None
    return wrapped or error


def _reason(error: BaseException, stage: ProbeStage, hidden: Sequence[str]) -> Reason:  # noqa: PLR0911  # a table
    """The first row that fits."""
    match error:
        case Refused():
            return error.reason
        case TokenRefused():
            said = shown(f"{error.code}: {error}", hidden)
            advice = "Check tenant, client id and client secret, and that the application may send mail."
            explanation = f"there is no access token for this login; the authority said: {said}"
            return FailureCode.OAUTH2_TOKEN_FAILED, explanation, advice, Setting.CLIENT_SECRET
        case ssl.SSLCertVerificationError():
            explanation = f"the server's certificate is not trusted: {error.verify_message}."
            advice = "Use the name that is in the certificate, or give the certificate of its authority."
            return FailureCode.TLS_CERTIFICATE_INVALID, explanation, advice, Setting.CERTIFICATE
        case ssl.SSLError():
            return _tls_reason(error)
        case TimeoutError() | ConnectionError() if stage is ProbeStage.CONTENT:
            explanation = "the server did not say what became of the message; it may have taken it."
            advice = "See whether the mail arrives before trying again."
            return FailureCode.DELIVERY_UNKNOWN, explanation, advice, None
        case ConnectionError() if stage is not ProbeStage.CONNECT:
            return _lost_reason(stage)
        case TimeoutError():
            explanation = "the server did not answer in time."
            advice = "Check host, port and connection security; a firewall or the wrong port stays silent."
            return FailureCode.DEADLINE_EXCEEDED, explanation, advice, _DEADLINE.get(stage)
        case OSError() if stage is ProbeStage.RESOLVE:
            advice = "Check the spelling of the host, and that this machine's name server knows it."
            return FailureCode.HOST_NOT_FOUND, "no address is known for the host.", advice, Setting.HOST
        case OSError() if stage is ProbeStage.CONNECT:
            advice = "Check host and port, and whether a firewall is in between."
            explanation = "nothing answers on this port of the host."
            return FailureCode.CONNECTION_FAILED, explanation, advice, Setting.PORT
        case _:
            explanation = "what answers on this port does not speak SMTP."
            return FailureCode.NOT_SMTP, explanation, "Check host and port.", Setting.PORT


def _tls_reason(error: ssl.SSLError) -> Reason:
    if error.reason in _NOT_TLS:
        explanation = "this port does not speak TLS from the first byte."
        advice = "Use STARTTLS on this port, or the server's port for implicit TLS, commonly 465."
        return FailureCode.TLS_FAILED, explanation, advice, Setting.SECURITY
    explanation = "the TLS handshake failed; TLS 1.2 or newer is needed."
    return FailureCode.TLS_FAILED, explanation, "Ask who runs the server.", Setting.SECURITY


def _lost_reason(stage: ProbeStage) -> Reason:
    setting = Setting.SECURITY if stage in {ProbeStage.GREET, ProbeStage.SECURE} else None
    explanation = "the server closed the connection."
    advice = "Check port and connection security (TLS 1.2 is the oldest we speak), and whether it wants us at all."
    return FailureCode.CONNECTION_LOST, explanation, advice, setting
