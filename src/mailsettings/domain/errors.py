"""The errors of the domain. `web/errors.py` has their statuses, each dialect their form.

MailSettingsError
├── NotAuthenticated        the access token is missing or invalid
├── LoginRefused            wrong name or password
├── PermissionDenied        the token is valid and does not allow this
├── InvalidSetting          a value that cannot be stored or tested
│   ├── NoSecretStored      a placeholder was sent, and no secret is stored
│   ├── SecretNeededAgain   the stored secret was given for another destination
│   ├── NameTaken           another mail server or device has this name
│   └── NetworkTaken        another device trusts a part of this network
├── DeviceDisabled          the device is not tested
├── RelayNotRunning         no relay runs that a device could be tested through
├── MailServerDisabled      the mail server is neither tested nor made the default
├── DefaultMailServerInUse  the default mail server is neither disabled nor removed through another API
├── NotFound
│   ├── MailServerNotFound
│   ├── NoSuchVersion       of a mail server
│   ├── AccountNotFound
│   ├── DeviceNotFound
│   ├── PresetNotFound
│   └── SigningKeyNotFound
├── KeyRefused              the key cannot be dropped
├── AccountExists
├── LastAccountManager      no account would manage accounts any more
├── PreconditionFailed      the stored state is not the expected state
│   └── WeakPrecondition    the caller named the expected state only weakly
├── IdempotencyError        the idempotency key was used before, and the request has no result to repeat
│   ├── IdempotencyKeyReused
│   ├── RequestInProgress
│   └── OutcomeUnknown
├── TooMany                 a limit was reached; a later request may succeed
│   ├── TooManyLogins       too many failed logins, or too many at once
│   └── TooManyProbes       too many connection tests
├── SecretUnreadable        a sealed secret cannot be decrypted
├── IdentityUnavailable     the issuer of a token does not answer, and its keys are not known
└── StoreUnavailable        the database does not answer; a later request may succeed
"""

from mailsettings.domain.setting import Setting


class MailSettingsError(Exception):
    """Base of all errors of the domain; `str()` is one sentence without secrets."""


class NotAuthenticated(MailSettingsError):
    """The request has no access token (`presented` is false) or an invalid one.

    `reason` is for the operator: it completes "the token was refused: …" and repeats no part of an unsigned token.
    """

    def __init__(self, problem: str, *, presented: bool, reason: str = "") -> None:
        super().__init__(problem)
        self.presented = presented
        self.reason = reason


class LoginRefused(MailSettingsError):
    """The name is unknown or the password is wrong; the caller never learns which."""

    def __init__(self) -> None:
        super().__init__("The user name or the password is wrong.")


class PermissionDenied(MailSettingsError):
    """The caller is authenticated and lacks the permission."""

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
    """The caller sent a placeholder instead of a secret, and no secret is stored."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, "is a placeholder, and no secret is stored; send the secret.")


class SecretNeededAgain(InvalidSetting):
    """The change would send the stored secret to a destination that it was not given for."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(
            setting,
            "must be sent again: the stored one is kept only while host, port, connection security, "
            "certificate, authentication type, user name, client id and tenant stay as they are.",
        )


class NameTaken(InvalidSetting):
    """Another mail server, or another device, has the name that the caller chose."""

    def __init__(self, by: str = "mail server") -> None:
        super().__init__(Setting.NAME, f"is taken by another {by}; choose another name.")


class NetworkTaken(InvalidSetting):
    """Another device trusts a network with some of the same addresses, so that a peer would be two devices."""

    def __init__(self, device: str) -> None:
        super().__init__(
            Setting.NETWORKS,
            f"overlap a network that the device {device} trusts; an address can stand for one device only.",
        )


class MailServerDisabled(MailSettingsError):
    """The mail server is disabled, so it is neither tested nor made the default."""

    def __init__(self) -> None:
        super().__init__("This mail server is disabled. Enable it first.")


class DefaultMailServerInUse(MailSettingsError):
    """The mail server is the default, which an API with a single server shows."""

    def __init__(self) -> None:
        super().__init__("This is the default mail server. Choose another default first, or clear the default.")


class NotFound(MailSettingsError):
    """The resource that the caller named does not exist."""


class MailServerNotFound(NotFound):
    """No mail server is stored with this id, or no default mail server is stored."""

    def __init__(self) -> None:
        super().__init__("There is no such mail server.")


class NoSuchVersion(NotFound):
    """The mail server never had this version, or the version was deleted; None asks for the previous one."""

    def __init__(self, version: int | None) -> None:
        super().__init__(
            "There is no earlier version to go back to."
            if version is None
            else f"This mail server has no version {version}."
        )


class AccountNotFound(NotFound):
    """No account has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no account named {name}.")


class DeviceDisabled(MailSettingsError):
    """The device may not submit, so it is not tested."""

    def __init__(self) -> None:
        super().__init__("The device is disabled. Enable it first.")


class RelayNotRunning(MailSettingsError):
    """No relay is connected to the database."""

    def __init__(self) -> None:
        super().__init__("No relay runs on this database. Start it with: mailsettings relay")


class DeviceNotFound(NotFound):
    """No device has this id or name."""

    def __init__(self) -> None:
        super().__init__("There is no such device.")


class PresetNotFound(NotFound):
    """No preset has this name."""

    def __init__(self) -> None:
        super().__init__("There is no preset of this name.")


class SigningKeyNotFound(NotFound):
    """No signing key has this id."""

    def __init__(self) -> None:
        super().__init__("There is no signing key of this id; see the list of signing keys.")


class KeyRefused(MailSettingsError):
    """An encryption or signing key cannot be dropped; only the command line drops keys."""


class AccountExists(MailSettingsError):
    """An account of this name exists already."""

    def __init__(self, name: str) -> None:
        super().__init__(f"An account named {name} exists already.")


class LastAccountManager(MailSettingsError):
    """The change would leave no account that may manage accounts."""

    def __init__(self) -> None:
        super().__init__(
            "This is the last account that may manage accounts. Give another account this permission first; "
            "without one, only the command line on the service's machine can manage accounts."
        )


class PreconditionFailed(MailSettingsError):
    """The stored mail server is not in a state that the caller expects; nothing was changed."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The mail server is not in the expected state: {why}. Read it again.")


class WeakPrecondition(PreconditionFailed):
    """The caller named the stored state only weakly, as equivalent to the state that it has seen."""

    def __init__(self) -> None:
        super().__init__("a weak tag does not identify a state")


class IdempotencyError(MailSettingsError):
    """Base: the idempotency key was used before, and there is no result to repeat."""


class IdempotencyKeyReused(IdempotencyError):
    """The caller used the same key for a different request."""

    def __init__(self) -> None:
        super().__init__("This idempotency key was used for a different request; use a new key for each request.")


class RequestInProgress(IdempotencyError):
    """The first request with this key has not ended yet."""

    def __init__(self, retry_after_seconds: int) -> None:
        problem = "The first request with this idempotency key is still being processed."
        super().__init__(f"{problem} Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(IdempotencyError):
    """The first request with this key began, and its outcome was lost, for example with its process."""

    def __init__(self) -> None:
        super().__init__(
            "The outcome of the first request with this idempotency key is unknown. "
            "Check the current state; to repeat the request, use a new key."
        )


class TooMany(MailSettingsError):
    """Base: a limit was reached; nothing was done."""

    def __init__(self, problem: str, retry_after_seconds: int) -> None:
        super().__init__(f"{problem} Try again in {retry_after_seconds} seconds.")
        self.retry_after_seconds = retry_after_seconds


class TooManyLogins(TooMany):
    """Logins with this name or from this address failed too often, or too many are waiting."""


class TooManyProbes(TooMany):
    """The limit of concurrent connection tests or of tests within a minute was reached; no test ran."""


class SecretUnreadable(MailSettingsError):
    """A sealed secret cannot be decrypted: it is damaged, was moved, or was sealed with another key.

    `reason` is for the operator, without the secret.
    """

    def __init__(self, reason: str = "") -> None:
        super().__init__("The stored secret cannot be decrypted with the current keys; send it again.")
        self.reason = reason


class IdentityUnavailable(MailSettingsError):
    """The token cannot be verified, because the keys of its issuer are not available now."""

    def __init__(self) -> None:
        super().__init__("The access token cannot be verified right now: its issuer does not answer.")


class StoreUnavailable(MailSettingsError):
    """The database does not answer, or not within its time limit."""

    def __init__(self) -> None:
        super().__init__("The database of this service is not available right now.")
