"""The JSON of accounts and clients."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from mailsettings.dialects.v1.moments import Moment, moment
from mailsettings.dialects.v1.paging import QueryModel
from mailsettings.domain.access import MIN_PASSWORD_LENGTH, AccountFacts, new_name_problem
from mailsettings.web.openapi import Count


class AccountView(BaseModel):
    """An account, without its password or secret."""

    name: str = Field(description="Name of the account.")
    permissions: list[str] = Field(description="What it may do, by the names of permissions.")
    created_at: Moment = Field(description="When it was created.")
    last_login_at: Moment | None = Field(description="When it last logged in; null if it never did.")
    failed_logins: Count = Field(description="Failed logins that count, from all networks.")
    locked_until: Moment | None = Field(
        description="End of the longest wait after failed logins, which may concern some networks only; null "
        "without a wait."
    )


class AccountPage(BaseModel):
    """A page of accounts, by name."""

    items: list[AccountView] = Field(description="The accounts.")
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page; null on the last page.")


class ClientCredentials(BaseModel):
    """The name and the secret of a client. The secret is in this response only."""

    name: str = Field(description="Name of the client, its `client_id` at the token endpoint.")
    secret: str = Field(description="Its `client_secret`. It is not shown again.")


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _new_name(name: str) -> str:
    if problem := new_name_problem(name):
        raise ValueError(problem)
    return name


Name = Annotated[
    str, Field(min_length=1, max_length=255, description="Name of the account."), AfterValidator(_new_name)
]
Permissions = Annotated[
    list[str], Field(max_length=100, description="Names of permissions; `GET /v1/permissions` lists them.")
]
Password = Annotated[SecretStr, Field(min_length=MIN_PASSWORD_LENGTH, description="The password.")]


class NewAccount(_Sent):
    """An account of a person."""

    name: Name
    permissions: Permissions
    password: Password


class NewClient(_Sent):
    """An account of a machine."""

    name: Name
    permissions: Permissions


class PermissionNames(_Sent):
    """The permissions of an account."""

    permissions: Permissions


class NewPassword(_Sent):
    """A new password."""

    password: Password


class ChangeQuery(QueryModel):
    """The parameter of changes that may take the management of accounts from the last account that has it."""

    even_last: Annotated[
        bool,
        Field(description="Make the change even if no account may manage accounts afterwards."),
    ] = False


def view(facts: AccountFacts) -> AccountView:
    """Return what the API shows of an account."""
    return AccountView(
        name=facts.account.name,
        permissions=sorted(facts.account.grants),
        created_at=facts.created_at,
        last_login_at=facts.last_login_at,
        failed_logins=facts.failed_logins,
        locked_until=moment(facts.locked_until),
    )
