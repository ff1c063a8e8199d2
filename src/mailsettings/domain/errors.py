"""Everything that can go wrong in the words of the domain; what it means over HTTP is a dialect's business.

MailSettingsError
├── NotAuthenticated        no access token, or one that is not good
├── LoginRefused            wrong name or password
├── PermissionDenied        a good token that does not allow this
├── InvalidSetting          a value that cannot be stored or tested
│   ├── NoSecretStored      a placeholder was sent, and there is nothing that it could stand for
│   └── SecretNeededAgain   the stored secret was given for another destination
├── NotFound
│   ├── MailServerNotFound
│   ├── NoSuchVersion       of a mail server
│   └── AccountNotFound
├── KeyRefused              a key that cannot be dropped
├── AccountExists
├── PreconditionFailed        what is stored is not what the caller takes it to be
│   └── WeakPrecondition    it may be, and the caller is not sure
├── IdempotencyError           a request that came before under the same key, and is not answered like it
│   ├── IdempotencyKeyReused
│   ├── RequestInProgress
│   └── OutcomeUnknown
├── TooMany                 more than is let in; later it is
│   ├── TooManyLogins       too many failed ones, or too many at once
│   └── TooManyProbes       connection tests
├── SecretUnreadable        a sealed secret that does not open with our key
├── IdentityUnavailable     the issuer of a token is away, and its keys are not known
└── StoreUnavailable        the database is away; trying again later may help
"""

from mailsettings.domain.setting import Setting


class MailSettingsError(Exception):
    """Base of all facts the domain reports as errors; `str()` is one sentence that holds no secret."""


class NotAuthenticated(MailSettingsError):
    """The caller showed no access token (`presented` is false) or one that is not good."""

    def __init__(self, problem: str, *, presented: bool) -> None:
        super().__init__(problem)
        self.presented = presented


class LoginRefused(MailSettingsError):
    """The name is unknown or the password wrong; which of the two is never said."""

    def __init__(self) -> None:
        super().__init__("The user name or the password is wrong.")


class PermissionDenied(MailSettingsError):
    """The principal is known and may not do this."""

    def __init__(self, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}.")
        self.permission = permission


class InvalidSetting(MailSettingsError):
    """One setting has a value that cannot be stored or tested; `problem` completes "<setting> …"."""

    def __init__(self, setting: Setting, problem: str) -> None:
        super().__init__(f"{setting} {problem}")
        self.setting = setting
        self.problem = problem


class NoSecretStored(InvalidSetting):
    """A placeholder was sent in place of a secret, and no secret is stored."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, "is a placeholder, and no secret is stored; send the secret.")


class SecretNeededAgain(InvalidSetting):
    """A change would send the stored secret to a destination it was not given for."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(
            setting,
            "has to be sent again: the stored one is kept only while host, port, connection security, "
            "certificate, authentication type, user name, client id and tenant stay as they are.",
        )


class NotFound(MailSettingsError):
    """Something named by the caller does not exist."""


class MailServerNotFound(NotFound):
    """No mail server is stored under this id, or none at all."""

    def __init__(self) -> None:
        super().__init__("There is no such mail server.")


class NoSuchVersion(NotFound):
    """The mail server was never in this version, or it is not kept any more; None for the one before the last."""

    def __init__(self, version: int | None) -> None:
        super().__init__(
            "There is no earlier version to go back to."
            if version is None
            else f"There is no version {version} of this mail server to go back to."
        )


class AccountNotFound(NotFound):
    """No account has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no account named {name}.")


class KeyRefused(MailSettingsError):
    """A key, one that seals or one that signs, cannot be dropped; only the command line asks for it."""


class AccountExists(MailSettingsError):
    """An account of this name exists already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"An account named {name} exists already.")


class PreconditionFailed(MailSettingsError):
    """What is stored is not in a state that the caller named; nothing was changed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The mail server is not what you take it to be: {why}. Read it again.")


class WeakPrecondition(PreconditionFailed):
    """The caller names the stored state, but only as equivalent to what it has seen."""

    def __init__(self) -> None:
        super().__init__("its state is named weakly")


class IdempotencyError(MailSettingsError):
    """Base: the key of this request was used before, and there is no answer to give again."""


class IdempotencyKeyReused(IdempotencyError):
    """Under the same key there was another request."""

    def __init__(self) -> None:
        super().__init__("Another request was sent with this key before; use a new key for each request.")


class RequestInProgress(IdempotencyError):
    """The first one is not done yet."""

    def __init__(self, retry_after_seconds: int) -> None:
        problem = "This request was sent before and is still being answered."
        super().__init__(f"{problem} Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(IdempotencyError):
    """The first one was begun, and nobody is left to tell how it ended."""

    def __init__(self) -> None:
        super().__init__(
            "This request was sent before and its outcome is not known. "
            "See what became of it; to make it again, use another key."
        )


class TooMany(MailSettingsError):
    """Base: more of something than is let in; nothing was done."""

    def __init__(self, problem: str, retry_after_seconds: int) -> None:
        super().__init__(f"{problem} Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class TooManyLogins(TooMany):
    """Logins by this name or from this address failed too often, or too many came at once."""


class TooManyProbes(TooMany):
    """More connection tests than are let in at once or within a minute; nothing was tested."""


class SecretUnreadable(MailSettingsError):
    """A sealed secret does not open: damaged, moved to another place, or sealed with another key."""

    def __init__(self) -> None:
        super().__init__("The stored secret cannot be read with this key; send it again.")


class IdentityUnavailable(MailSettingsError):
    """Whether a token is good cannot be told: its issuer's keys are not to be had, now."""

    def __init__(self) -> None:
        super().__init__("The access token cannot be checked right now: its issuer does not answer.")


class StoreUnavailable(MailSettingsError):
    """The database does not answer, or not in time."""

    def __init__(self) -> None:
        super().__init__("The settings store is not available right now.")
