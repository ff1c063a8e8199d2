"""Make text from servers printable, bounded and free of our credentials.

A server that once received a password can repeat it anywhere: in a reply, its name, its extensions, its
certificates. Replies are redacted when they are read; the whole report is redacted again at its end, when every
secret that the test used is known.
"""

import base64
import re
import ssl
import unicodedata
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from mailsettings.domain.connection_test import (
    ProbeFailure,
    ProbeReport,
    StageObservation,
    StageReport,
    SuggestedChange,
)
from mailsettings.domain.mail_server import MailServer, PasswordAuthentication
from mailsettings.domain.observation import Certificate, ServerGreeting, SMTPReply, TLSSession
from mailsettings.domain.values import MASK

# Digits, single letters and names are missing on purpose: they may be a PIN or initials.
REPLY_WORDS = frozenset(
    {
        *("accepted", "access", "account", "address", "allowed", "and", "application", "auth", "authenticate"),
        *("authenticated", "authentication", "authorization", "authorized", "bad", "blocked", "client"),
        *("closing", "command", "connection", "connections", "credentials", "data", "daily", "denied"),
        *("disabled", "domain", "email", "enabled", "encryption", "error", "esmtp", "exceeded", "expired"),
        *("failed", "failure", "for", "found", "from", "greylisted", "hello", "helo", "host", "incorrect"),
        *("invalid", "later", "limit", "local", "locked", "login", "logon", "mail", "mailbox", "message"),
        *("mechanism", "missing", "network", "not", "now", "only", "password", "permission", "please", "policy"),
        *("postfix", "protocol", "quota", "recipient", "refused", "rejected", "relay", "relaying", "required"),
        *("secret", "secure", "security", "sender", "sending", "server", "service", "session", "size", "smtp"),
        *("spam", "ssl", "starttls", "submission", "success", "suspended", "syntax", "system", "temporary"),
        *("test", "the", "this", "timeout", "tls", "token", "try", "unavailable", "unknown", "unsuccessful"),
        *("user", "username", "valid", "verify", "welcome", "with", "wrong", "your"),
    }
)


MAX_TEXT_LENGTH = 200
MAX_REPLY_LENGTH = 2048
"""In characters, for a reply in a report. Explanations quote its `summary`."""
MIN_SECRET_LENGTH = 4
SECRET_PART_LENGTH = 8
"""This many consecutive characters of a secret count as a part of it."""
_ENHANCED = re.compile(r"^([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")  # RFC 3463 2, in front of each line by RFC 2034 4
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")  # RFC 5321 4.1.1.1, of a sane length
_NAME = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_ENCODINGS = ("utf-8", "utf-16-be")  # UTF8String and the older types of one byte; BMPString


class HiddenForms(tuple[str, ...]):  # noqa: SLOT001  # the caches need a dictionary
    """The forms of a secret, longest first. Searches share their preparation: the relay reads many replies."""

    @classmethod
    def of(cls, forms: Sequence[str]) -> "HiddenForms":
        """Return *forms*, which may be such an object already."""
        return forms if isinstance(forms, cls) else cls(forms)

    @cached_property
    def searched(self) -> Sequence[str]:
        """The forms to hide: hiding a usual word of replies would reveal it, and spoil the reply."""
        return [form for form in self if form.lower() not in REPLY_WORDS]

    @cached_property
    def squeezed(self) -> Sequence[str]:
        """The letters and digits of each form."""
        return [text for form in self.searched if (text := _letters_and_digits(form))]

    @cached_property
    def parts(self) -> AbstractSet[str]:
        """The parts of the forms: a truncated secret is still a clue."""
        return {
            form[start : start + SECRET_PART_LENGTH]
            for form in self.searched
            for start in range(len(form.rstrip("=")) - SECRET_PART_LENGTH + 1)
        }


def displayable_reply(
    code: int,
    message: str,
    hidden: Sequence[str] = (),
    longest: int = MAX_REPLY_LENGTH,
    sent: Sequence[str] = (),
) -> SMTPReply:
    """Return a reply fit for a report: without *hidden* in its text, except in the addresses *sent*."""
    enhanced_code: str | None = None
    lines: list[str] = []
    for line in message.splitlines():
        match = _ENHANCED.match(line)
        enhanced_code = enhanced_code or (match[1] if match else None)
        lines.append(line[match.end() :] if match else line)
    return SMTPReply(code, enhanced_code, displayable_text(" ".join(lines), hidden, longest, sent))


def parse_host_name(message: str) -> str:
    """Return the host name at the start of a greeting or EHLO reply, or ""."""
    word = message.partition("\n")[0].partition(" ")[0]
    return word if _NAME.fullmatch(word) else ""


def parse_keywords(words: Iterable[str]) -> tuple[str, ...]:
    """Return the valid EHLO keywords (RFC 5321 4.1.1.1) of *words*, in capitals."""
    return tuple(dict.fromkeys(word.upper() for word in words if _KEYWORD.fullmatch(word)))


def credential_forms(server: MailServer, token: str = "") -> Sequence[str]:
    """Return every form in which the secret is sent, longest first: some servers repeat what they receive."""
    secret = server.secret
    texts = {token, secret.reveal() if secret else ""} - {""}
    forms = {form for text in texts for form in (text, text[::-1], _base64(text), quote_plus(text), quote(text))}
    login = server.authentication
    if isinstance(login, PasswordAuthentication) and login.password is not None:
        forms.add(_base64(f"\0{login.username}\0{login.password.reveal()}"))
    if token:
        forms.add(_base64(f"user={login.username or ''}\x01auth=Bearer {token}\x01\x01"))
    return HiddenForms(sorted(forms, key=len, reverse=True))


def displayable_text(
    text: str, hidden: Sequence[str] = (), longest: int = MAX_TEXT_LENGTH, sent: Sequence[str] = ()
) -> str:
    """Return *text* as one printable, bounded line without *hidden*, except in the addresses *sent*."""
    # Category C: control characters, bidirectional marks and surrogates, which could rewrite a terminal or a page.
    printable = "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character).startswith("C") else character
        for character in " ".join(text.split())
    )
    safe = _redact_except(sent, printable, hidden) if sent and hidden else redact(printable, hidden)
    return safe if len(safe) <= longest else safe[: longest - 1] + "…"


def redact(text: str, hidden: Sequence[str]) -> str:
    """Return *text* without *hidden*, also if a server truncates it, splits it, or drops the padding.

    If a secret is disguised so that it has no single place, or too short to search for, the whole text is hidden.
    A secret that is a usual word of replies stays: hiding it would reveal it, and spoil the reply.
    """
    forms = HiddenForms.of(hidden)
    for form in forms.searched:
        if len(form) < MIN_SECRET_LENGTH and form in text:
            return MASK
        text = text.replace(form, MASK)
    if _is_disguised(text, forms):
        return MASK
    return " ".join(MASK if _has_part_of(word, forms) else word for word in text.split(" "))


def _has_part_of(word: str, forms: HiddenForms) -> bool:
    return len(word) >= SECRET_PART_LENGTH and not forms.parts.isdisjoint(_word_parts(word))


def _redact_except(sent: Sequence[str], text: str, hidden: Sequence[str]) -> str:
    """Return *text* without *hidden*, but keep each address that was sent, and its two parts.

    The caller chooses these addresses. If a guess in an address was hidden, the caller would learn that it is the
    stored secret.
    """
    words = {word for address in sent for word in (address, *address.rpartition("@"))}
    spared = sorted((word for word in words if len(word) >= MIN_SECRET_LENGTH), key=len, reverse=True)
    pattern = "|".join(map(re.escape, spared))
    parts = re.split(rf"(?<![^\W_])({pattern})(?![^\W_])", text, flags=re.IGNORECASE) if spared else [text]
    parts[::2] = [redact(part, hidden) for part in parts[::2]]
    return MASK if _is_disguised("".join(parts[::2]), HiddenForms.of(hidden)) else "".join(parts)


def _is_disguised(text: str, forms: HiddenForms) -> bool:
    """Return whether *text* still contains a form of the secret, with characters inserted or removed."""
    if not forms.squeezed or len(text) < len(min(forms.squeezed, key=len)):
        return False
    letters = _letters_and_digits(text)
    return any(squeezed in letters for squeezed in forms.squeezed)


def _letters_and_digits(text: str) -> str:
    """Return only the letters and digits, in lower case, so that inserted characters do not matter."""
    return "".join(character for character in text.lower() if character.isalnum())


def _word_parts(word: str) -> set[str]:
    return {word[start : start + SECRET_PART_LENGTH] for start in range(len(word) - SECRET_PART_LENGTH + 1)}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def redact_report(report: ProbeReport, hidden: Sequence[str]) -> ProbeReport:
    """Return *report* without *hidden* in the server's name, extensions and certificates."""
    return _ReportRedaction(hidden).report(report) if hidden else report


class _ReportRedaction:
    """Records each changed word, because failures and warnings quote these words."""

    def __init__(self, hidden: Sequence[str]) -> None:
        self._hidden = hidden
        self._changed: dict[str, str] = {}

    def report(self, report: ProbeReport) -> ProbeReport:
        stages = tuple(self._stage(stage) for stage in report.stages)
        warnings = tuple(
            replace(warning, explanation=self._quoting(warning.explanation)) for warning in report.warnings
        )
        failure = self._failure(report.failure) if report.failure else None
        return replace(report, stages=stages, failure=failure, warnings=warnings)

    def _stage(self, stage: StageReport) -> StageReport:
        seen = stage.observed
        greeting = self._greeting(seen.greeting) if seen.greeting else None
        tls = self._tls(seen.tls) if seen.tls else None
        observed: StageObservation = replace(seen, greeting=greeting, tls=tls)
        return replace(stage, observed=observed)

    def _greeting(self, greeting: ServerGreeting) -> ServerGreeting:
        size = greeting.size_limit
        hides_size = size is not None and self._word(str(size)) != str(size)
        return ServerGreeting(
            name=self._word(greeting.name),
            extensions=tuple(map(self._word, greeting.extensions)),
            mechanisms=tuple(map(self._word, greeting.mechanisms)),
            size_limit=None if hides_size else size,
        )

    def _tls(self, tls: TLSSession) -> TLSSession:
        """Redact every chain of certificates, by type, so that a new field cannot be forgotten."""
        chains: dict[str, Any] = {
            field.name: tuple(map(self._certificate, chain))
            for field in fields(tls)
            if isinstance(chain := getattr(tls, field.name), tuple)
        }
        return replace(tls, **chains)

    def _certificate(self, certificate: Certificate) -> Certificate:
        safe = replace(
            certificate,
            subject=self._word(certificate.subject),
            names=tuple(map(self._word, certificate.names)),
            issuer=self._word(certificate.issuer),
        )
        if safe == certificate and not self._is_in(certificate.pem):
            return certificate
        self._changed[certificate.pem] = ""
        return replace(safe, pem="")

    def _is_in(self, pem: str) -> bool:
        der = ssl.PEM_cert_to_DER_cert(pem).lower()
        forms = [form.lower() for form in self._hidden if len(form) >= MIN_SECRET_LENGTH]
        return any(form.encode(encoding) in der for form in forms for encoding in _ENCODINGS)

    def _failure(self, failure: ProbeFailure) -> ProbeFailure:
        changes = tuple(map(self._change, failure.changes))
        return replace(failure, explanation=self._quoting(failure.explanation), changes=changes)

    def _change(self, change: SuggestedChange) -> SuggestedChange:
        """Drop the suggestion if it is one of the changed words."""
        return replace(change, suggested=None) if change.suggested in self._changed else change

    def _word(self, word: str) -> str:
        safe = redact(word, self._hidden)
        if safe != word:
            self._changed[word] = safe
        return safe

    def _quoting(self, text: str) -> str:
        for word in sorted(self._changed, key=len, reverse=True):
            text = text.replace(word, self._changed[word])
        return text
