"""The hashes of the audit log, computed once more and apart from the code: logs of older versions have to hold."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailsettings.domain.access import Origin
from mailsettings.domain.audit_log import (
    KEY_BYTES,
    Action,
    AuditChain,
    AuditEntry,
    AuditHead,
    AuditLogCheck,
    AuditOutcome,
    AuditRecord,
    WitnessedEntry,
    details_json,
    timestamp,
)
from mailsettings.domain.change import difference
from mailsettings.domain.login_throttling import Backoff, Failures
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender

KEY = bytes(range(KEY_BYTES))
CHAIN = AuditChain(KEY)
RECORD = AuditRecord(
    "alice", Origin("192.0.2.1", "request 1"), Action.LOGIN, "target", AuditOutcome.DONE, {"b": 2, "a": ["ä"]}
)
AT = "2026-01-02T03:04:05.000006Z"


def by_hand(purpose: bytes, *parts: bytes) -> bytes:
    lengths = b"".join(len(part).to_bytes(8, "big") for part in parts)
    return hmac.new(KEY, b"|".join([purpose, lengths, *parts]), hashlib.sha256).digest()


def test_entry_hash_covers_its_content_and_the_previous_hash() -> None:
    details = '{"a":["\\u00e4"],"b":2}'
    fields = [8, AT, "alice", "192.0.2.1", "request 1", "login", "target", "done", details]
    text = json.dumps(fields, separators=(",", ":")).encode()

    entry = CHAIN.entry(AuditHead(7, b"before", b""), AT, RECORD)

    assert details_json(RECORD.details) == details
    assert entry == AuditEntry(8, AT, RECORD, by_hand(b"entry", b"before", text))
    assert entry.mac == CHAIN.mac(b"before", 8, AT, RECORD)


def test_the_head_of_the_log_has_its_own_seal() -> None:
    assert CHAIN.head() == AuditHead(0, b"", by_hand(b"head", b"", b"0"))
    assert CHAIN.head(7, b"mac") == AuditHead(7, b"mac", by_hand(b"head", b"mac", b"7"))
    assert CHAIN.sealed(CHAIN.head(7, b"mac"))
    for other in (None, AuditHead(7, b"mac", b""), AuditHead(8, b"mac", by_hand(b"head", b"mac", b"7"))):
        assert not CHAIN.sealed(other)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine three hours east of Greenwich."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST-3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_timestamp_is_in_utc_to_the_microsecond() -> None:
    assert timestamp(datetime(2026, 1, 2, 3, 4, 5, 6, UTC)) == AT
    assert timestamp(datetime(2026, 1, 2, 5, 4, 5, 6, timezone(timedelta(hours=2)))) == AT


def test_the_key_does_not_appear_in_a_repr() -> None:
    assert repr(KEY) not in repr(CHAIN)


def log(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    head = CHAIN.head()
    for _ in range(length):
        entries.append(CHAIN.entry(head, AT, RECORD))
        head = CHAIN.head(entries[-1].sequence, entries[-1].mac)
    return entries


def checked(entries: list[AuditEntry], head: AuditHead | None, *seen: WitnessedEntry) -> AuditLogCheck:
    check = AuditLogCheck(CHAIN, head, seen)
    check.take(entries)
    check.end()
    return check


def test_a_log_that_grows_during_a_check_is_valid() -> None:
    entries = log(3)
    head = CHAIN.head(2, entries[1].mac)

    check = checked(entries, head, WitnessedEntry(3, entries[2].mac[:4]))

    assert (check.problem, check.sequence, check.mac) == (None, 3, entries[2].mac)


def test_every_witnessed_entry_must_be_in_the_log() -> None:
    entries = log(3)
    head = CHAIN.head(3, entries[2].mac)
    good, other = WitnessedEntry(2, entries[1].mac), WitnessedEntry(3, bytes(4), "/data/note")

    assert checked(entries, head, good).problem is None
    assert (
        checked(entries, head, good, other).problem
        == "Entry 3 differs from the entry that is noted in /data/note."
    )
    assert (
        checked(entries, head, WitnessedEntry(4, b"x")).problem
        == "The log ends at entry 3; entry 4 was seen before."
    )


@pytest.mark.parametrize("text", ["", "1", "1:", "x:00", "1:0", "1:0g", "-1:00", "1:00:00", "1:" + "0" * 66])
def test_malformed_text_is_no_witnessed_entry(text: str) -> None:
    with pytest.raises(ValueError, match="number and a hash"):
        WitnessedEntry.parse(text)


def test_a_witnessed_entry_survives_printing_and_parsing() -> None:
    assert str(WitnessedEntry.parse("12:9f86d081", "here")) == "12:9f86d081"


def test_the_check_reports_only_the_first_problem() -> None:
    entries = log(5)
    head = CHAIN.head(5, entries[4].mac)

    check = checked([entries[0], entries[3], entries[1]], head)

    assert (check.problem, check.sequence, check.mac) == ("Entry 2 is missing.", 4, entries[3].mac)


@pytest.mark.parametrize("head", [None, AuditHead(1, b"", b"")], ids=["missing", "altered"])
def test_unsound_head_makes_the_end_of_the_log_untrusted(head: AuditHead | None) -> None:
    assert checked(log(1), head).problem == "The record of the last entry is missing or was altered."


def test_a_server_without_login_is_described_without_user_name() -> None:
    server = MailServer("mail.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))

    assert difference(None, server) == {
        "authentication": {"before": None, "after": "none"},
        "connection security": {"before": None, "after": "none"},
        "host": {"before": None, "after": "mail.example.org"},
        "port": {"before": None, "after": 25},
        "sender address": {"before": None, "after": "a@example.org"},
    }


@pytest.mark.parametrize(
    ("count", "wait"),
    [(4, 0), (5, 5), (6, 10), (12, 640), (13, 900), (10**9, 900)],
)
def test_wait_starts_after_the_free_failures_and_is_bounded(count: int, wait: float) -> None:
    after = Backoff(free_failures=5).after_failure(Failures(count - 1, last_at=1000.0), 1000.0)

    assert after == Failures(count, 1000.0, 1000.0 + wait)


def test_wait_is_a_whole_number_of_seconds_never_negative() -> None:
    failures = Failures(5, 1000.0, blocked_until=1005.0)

    assert [failures.wait_seconds(now) for now in (1000.0, 1000.5, 1004.9, 1005.0, 2000.0)] == [5, 5, 1, 0, 0]
    assert Failures().wait_seconds(0) == 0
