"""Rules of the domain as validators of single members, so that one refusal names every member that breaks one."""

from collections.abc import Callable

from pydantic import AfterValidator

from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import OAuth2ClientCredentials, PasswordAuthentication, Sender
from mailsettings.domain.syntax import require_host


def _validator(check: Callable[[str], object]) -> AfterValidator:
    def validate(text: str | None) -> str | None:
        try:
            if text:  # whether a member may be missing or empty is the API's own rule
                check(text)
        except InvalidSetting as refused:
            raise ValueError(refused.problem) from None
        return text

    return AfterValidator(validate)


HOST = _validator(lambda text: require_host(text.strip(" ")))
SENDER_ADDRESS = _validator(Sender)
SENDER_NAME = _validator(lambda text: Sender("x", text))
USERNAME = _validator(lambda text: PasswordAuthentication(text, None))
CLIENT_ID = _validator(lambda text: OAuth2ClientCredentials("x", text, "x", None))
TENANT = _validator(lambda text: OAuth2ClientCredentials("x", "x", text, None))
