"""Each error is one sentence that helps, and none of them has more to tell than it should."""

from collections.abc import Callable

import pytest

from mailsettings.domain import errors
from mailsettings.domain.access import (
    MAX_ACCOUNT_NAME_LENGTH,
    OPERATOR,
    Account,
    Credentials,
    Permission,
    Principal,
)
from mailsettings.domain.encryption_keys import KeyIsCurrent, KeyNeeded, KeyUnknown, ResealResult
from mailsettings.domain.errors import InvalidSetting, PermissionDenied
from mailsettings.domain.setting import Setting

SENTENCES: dict[str, Callable[[], Exception]] = {
    "No token.": lambda: errors.NotAuthenticated("No token.", presented=False),
    "The user name or the password is wrong.": errors.LoginRefused,
    "This needs the permission mail-servers:read.": lambda: errors.PermissionDenied("mail-servers:read"),
    "host is wrong.": lambda: errors.InvalidSetting(Setting.HOST, "is wrong."),
    "There is no such mail server.": errors.MailServerNotFound,
    "There is no account named alice.": lambda: errors.AccountNotFound("alice"),
    "An account named alice exists already.": lambda: errors.AccountExists("alice"),
    "This idempotency key was used for a different request; use a new key for each request.": (
        errors.IdempotencyKeyReused
    ),
    "The first request with this idempotency key is still being processed. Try again in 7 seconds.": (
        lambda: errors.RequestInProgress(7)
    ),
    "The outcome of the first request with this idempotency key is unknown. "
    "Check the current state; to repeat the request, use a new key.": errors.OutcomeUnknown,
    "Too many. Try again in 7 seconds.": lambda: errors.TooManyProbes("Too many.", 7),
    "The stored secret cannot be decrypted with the current keys; send it again.": errors.SecretUnreadable,
    "The access token cannot be verified right now: its issuer does not answer.": errors.IdentityUnavailable,
    "The database of this service is not available right now.": errors.StoreUnavailable,
    "There is no key of this id; see `mailsettings key encryption status`.": KeyUnknown,
    "The key k1 is the current one; run `mailsettings key encryption rotate` first.": lambda: KeyIsCurrent("k1"),
    "1 secret needs the key k1; run `mailsettings key encryption reseal` first.": lambda: KeyNeeded("k1", 1),
    "2 secrets need the key k1; run `mailsettings key encryption reseal` first.": lambda: KeyNeeded("k1", 2),
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_an_error_is_one_sentence(sentence: str) -> None:
    assert str(SENTENCES[sentence]()) == sentence


def test_reseal_results_add_up() -> None:
    both = ResealResult(2, ("a",)) + ResealResult(3, ("b", "c"))

    assert (both.count, both.unreadable) == (5, ("a", "b", "c"))


def test_errors_keep_the_values_that_responses_need() -> None:
    assert errors.NotAuthenticated("x", presented=True).presented
    assert not errors.NotAuthenticated("x", presented=False).presented
    assert errors.PermissionDenied("p").permission == "p"
    assert errors.TooManyProbes("x", 7).retry_after_seconds == 7
    assert errors.RequestInProgress(7).retry_after_seconds == 7
    assert (refused := errors.InvalidSetting(Setting.HOST, "is wrong.")).setting is Setting.HOST
    assert refused.problem == "is wrong."


def test_required_secret_names_the_settings_it_is_bound_to() -> None:
    refused = errors.SecretNeededAgain(Setting.PASSWORD)

    assert refused.setting is Setting.PASSWORD
    assert refused.problem == (
        "must be sent again: the stored one is kept only while host, port, connection security, "
        "certificate, authentication type, user name, client id and tenant stay as they are."
    )


@pytest.mark.parametrize("name", ["a", "x" * MAX_ACCOUNT_NAME_LENGTH, "Müller, Jörg"])
def test_a_printable_name_of_allowed_length_is_accepted(name: str) -> None:
    assert Account(name, frozenset()).name == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * (MAX_ACCOUNT_NAME_LENGTH + 1), "a\nb", "a\0", "\u202e"],
    ids=lambda text: ascii(text).replace("\\", "%"),
)
def test_any_other_name_is_refused_with_the_bounds(name: str) -> None:
    with pytest.raises(InvalidSetting) as refused:
        Account(name, frozenset())

    assert refused.value.setting is Setting.USERNAME
    assert refused.value.problem == "must be 1 to 255 printable characters."


def test_a_principal_is_checked_for_each_permission() -> None:
    reader = Principal("r", frozenset({Permission.MAIL_SERVERS_READ}))

    reader.require(Permission.MAIL_SERVERS_READ)
    with pytest.raises(PermissionDenied) as refused:
        reader.require(Permission.MAIL_SERVERS_WRITE)
    for permission in Permission:
        OPERATOR.require(permission)

    assert refused.value.permission == "mail-servers:write"


def test_a_password_hash_does_not_appear_in_a_repr() -> None:
    assert "the hash" not in repr(Credentials(Account("a", frozenset()), "the hash"))
