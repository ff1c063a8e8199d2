"""The issuers that the settings trust: the one of the variables, or those of a TOML file.

The file is read here and not interpreted: `bootstrap` turns these issuers into those of `auth`.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mailsettings.settings.base import PREFIX, ClaimPath, SettingsInvalid, require_issuer_url
from mailsettings.settings.model import MAX_SENTENCES, Settings

TENANT_MARK = "{tenantid}"
"""Stands for the id of a tenant, as in the documents of Microsoft Entra ID."""
_SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})
"""Names that Microsoft Entra ID uses for the tenants of all its customers."""

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
IDTokenClaim = Literal["nonce", "at_hash"]


def _texts(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) and text.strip() for text in value):
        raise ValueError("it must be a list of texts")
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Tenant = Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,100}$")]


class _Table(BaseModel):
    """A table of the file: every key is known, and errors repeat no value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ClaimPermissions(_Table):
    """The permissions that the values of one claim give."""

    claim: ClaimPath = Field(description="Claim with the values, as in `MAILSETTINGS_OIDC_PERMISSIONS_CLAIM`.")
    values: Mapping[str, Texts] = Field(
        min_length=1,
        description='Table of the values, each with a list of permissions: `auditor = ["view-mail-settings"]`.',
    )
    objects: bool = Field(
        default=False,
        description="Whether an object in the claim counts as the names of its members. A member counts only if "
        "it is itself an object with members.",
    )


class IssuerSettings(_Table):
    """One issuer."""

    issuer: str = Field(
        description="The issuer, exactly as it names itself. `{tenantid}` in it stands for each of `tenants`."
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="Begins the names of its callers; by default the host of the issuer. Two issuers of one host "
        "need different names.",
    )
    audience: Texts = Field(
        default=(), description="Audiences (`aud`); a token must name one of them. Without `clients` required."
    )
    clients: Texts = Field(
        default=(),
        description="Ids of the clients that may call. Without `audience`, a token must have no `aud`.",
    )
    client_claim: ClaimPath = Field(
        default=("client_id",), description="Claim with the id of the client, for `clients`."
    )
    required: Mapping[ClaimPath, Texts] = Field(
        default_factory=dict,
        description="Table of claims, each with a list of values; a token must have one of the values in each "
        "claim. Other tokens get 401.",
    )
    permissions: tuple[ClaimPermissions, ...] = Field(
        min_length=1,
        description="Tables that map the values of a claim to permissions. A token has the permissions of all "
        "tables together.",
    )
    subject_claim: ClaimPath = Field(
        default=("sub",), description="Claim that names the caller; users must not be able to change it."
    )
    client_subject_claim: ClaimPath | None = Field(
        default=None,
        description="Claim that names the caller where a token has no `subject_claim`, as with client "
        "credentials. The service puts `client|` before the name.",
    )
    token_issuers: Texts = Field(
        default=(), description="Values of `iss` in its tokens, if they differ from `issuer`."
    )
    tenants: tuple[Tenant, ...] = Field(
        default=(), description="Ids of the tenants that `{tenantid}` stands for; each counts as an issuer."
    )
    algorithms: tuple[Algorithm, ...] = Field(
        default=("RS256", "PS256", "ES256", "EdDSA"),
        min_length=1,
        description="Signature algorithms. `RS384`, `RS512`, `PS384`, `PS512`, `ES384` and `ES512` are possible "
        "too.",
    )
    id_token_claims: tuple[IDTokenClaim, ...] = Field(
        default=(),
        description="Which of `nonce` and `at_hash`, usually signs of an ID token, its access tokens have too.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of certificate authorities to trust for it, instead of those of the system; a "
        "relative path starts at the folder of the TOML file.",
    )

    @field_validator("issuer")
    @classmethod
    def _secure(cls, issuer: str) -> str:
        require_issuer_url(issuer.replace(TENANT_MARK, "tenant"))
        return issuer

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.audience and not self.clients:
            raise ValueError("it needs an audience, or clients if its tokens have no audience")
        if (TENANT_MARK in self.issuer) != bool(self.tenants):
            raise ValueError(f"{TENANT_MARK} in the issuer and tenants go together: set both or neither")
        if any(TENANT_MARK in each for each in self.token_issuers) and not self.tenants:
            raise ValueError(f"{TENANT_MARK} in token_issuers needs tenants")
        if _SHARED_TENANTS.intersection(self.tenants):
            raise ValueError("common, organizations and consumers stand for many tenants; name each tenant")
        return self

    @property
    def accepted_issuers(self) -> tuple[str, ...]:
        """Return the values of `iss` that its tokens may have."""
        return self.token_issuers or (self.issuer,)

    def separated(self) -> Iterator["IssuerSettings"]:
        """Yield this issuer with its name, or one for each of its tenants."""
        if not self.tenants:
            yield self.model_copy(update={"name": self.name or host_of(self.issuer)})
        for tenant in self.tenants:
            issuer = self.issuer.replace(TENANT_MARK, tenant)
            changes = {
                "issuer": issuer,
                "name": f"{self.name or host_of(issuer)}/{tenant}",
                "token_issuers": tuple(each.replace(TENANT_MARK, tenant) for each in self.token_issuers),
            }
            yield self.model_copy(update=changes)


def host_of(issuer: str) -> str:
    """Return the host in the URL *issuer*."""
    return str(urlsplit(issuer).hostname)


class _File(_Table):
    issuer: tuple[IssuerSettings, ...] = Field(min_length=1)


def read_issuers(settings: Settings, own_issuer: str) -> Sequence[IssuerSettings]:
    """Return the issuers that *settings* trust, each tenant for itself. Raises `SettingsInvalid`.

    *own_issuer* is the claim `iss` in the tokens of this service, which no other issuer may use.
    """
    file = settings.oidc_issuers_file
    given = _of_variables(settings) if file is None else _of_file(file)
    issuers = [each for issuer in given for each in issuer.separated()]
    names = [str(issuer.name).casefold() for issuer in issuers]
    values = [own_issuer, *(value for issuer in issuers for value in issuer.accepted_issuers)]
    if len(names) != len(set(names)):
        raise _invalid("two issuers have the same name; set a different name for each")
    if len(values) != len(set(values)):
        raise _invalid("two issuers have the same value of iss, or one has that of this service")
    return issuers


def _of_variables(settings: Settings) -> Iterator[IssuerSettings]:
    if settings.oidc_issuer is not None:
        values: dict[str, list[str]] = {}
        for value, permission in settings.oidc_permissions:
            values.setdefault(value, []).append(permission)
        yield IssuerSettings(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            permissions=(ClaimPermissions(claim=settings.oidc_permissions_claim, values=values),),
            subject_claim=settings.oidc_subject_claim,
            ca_file=settings.oidc_ca_file,
        )


def _of_file(file: Path) -> Sequence[IssuerSettings]:
    try:
        issuers = _File.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).issuer
    except OSError as error:
        raise _invalid(f"it is not a readable file: {error.strerror}") from error
    except ValidationError as error:
        # Not the original, which has the values.
        raise _invalid(*map(_problem, _innermost(error.errors())[:MAX_SENTENCES])) from None
    except ValueError as error:  # a TOMLDecodeError or UnicodeDecodeError
        raise _invalid(f"it is not a TOML file: {error}") from error
    return [_with_path_of(file, issuer) for issuer in issuers]


def _with_path_of(file: Path, issuer: IssuerSettings) -> IssuerSettings:
    if issuer.ca_file is None:
        return issuer
    return issuer.model_copy(update={"ca_file": file.parent / issuer.ca_file})


_PROBLEMS = {
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "dict_type": "it must be a table",
    "extra_forbidden": "it is not a setting of an issuer",
    "missing": "it is required",
    "model_type": "it must be a table",
    "string_pattern_mismatch": "it must have letters, digits, dots and hyphens only, at most 100",
    "string_type": "it must be a text",
    "too_short": "it must not be empty",
    "tuple_type": "it must be a list",
}
"""The sentences for pydantic's types of errors; all others have a message of their own."""


def _innermost(findings: Sequence[Any]) -> Sequence[Any]:
    """Leave out what pydantic says about a list or table as a whole because of a mistake inside of it."""
    around = {finding["loc"][:depth] for finding in findings for depth in range(len(finding["loc"]))}
    return [finding for finding in findings if finding["loc"] not in around]


def _problem(finding: Any) -> str:
    """Return what is wrong, after the place of it: `issuer 2, audience`."""
    place = ", ".join(str(part) for part in finding["loc"])
    place = re.sub(r", (\d+)", lambda match: f" {int(match[1]) + 1}", place)
    problem = _PROBLEMS.get(finding["type"], finding["msg"].removeprefix("Value error, "))
    return f"{place}: {problem}"


def _invalid(*problems: str) -> SettingsInvalid:
    return SettingsInvalid("\n".join(f"{PREFIX}OIDC_ISSUERS_FILE is not valid: {each}." for each in problems))
