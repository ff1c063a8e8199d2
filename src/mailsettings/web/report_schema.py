"""The members of a connection test's report, the same in every API: they are ours, not any vendor's."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from mailsettings.domain import probe


class _Shown(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ReplyShown(_Shown):
    """The server's words, cleaned and cut."""

    code: Annotated[int, Field(description="Reply code (RFC 5321 4.2).")]
    enhanced_code: Annotated[str | None, Field(description="Enhanced status code (RFC 3463).")] = None
    text: str


class AddressShown(_Shown):
    """One address of the host that a connection was tried to."""

    address: str
    outcome: Annotated[str, Field(description="`connected`, `not needed`, `not tried`, or why it failed.")]
    milliseconds: int


class GreetingShown(_Shown):
    """What the server says of itself."""

    name: str
    extensions: list[str]
    mechanisms: Annotated[list[str], Field(description="Ways to log in that it offers.")]
    size_limit: Annotated[int | None, Field(description="The largest message it takes, in bytes.")] = None


class CertificateShown(_Shown):
    """A certificate as the server presented it, whether or not it is trusted."""

    subject: str
    names: Annotated[list[str], Field(description="Names and addresses that it is good for.")]
    issuer: str
    not_before: datetime
    not_after: datetime
    days_left: int
    sha256: Annotated[str, Field(description="Fingerprint, in hexadecimal.")]
    pem: Annotated[str, Field(description="The certificate itself, to be given as the one to trust.")]


class TLSShown(_Shown):
    """How the connection is encrypted."""

    version: str
    cipher: str
    chain: Annotated[list[CertificateShown], Field(description="The server's own certificate comes first.")]


class StageShown(_Shown):
    """One stage; members that do not belong to it are left out."""

    stage: probe.ProbeStage
    outcome: probe.Outcome
    milliseconds: int
    note: str | None = None
    reply: ReplyShown | None = None
    addresses: list[AddressShown] | None = None
    greeting: GreetingShown | None = None
    tls: TLSShown | None = None
    mechanism: Annotated[str | None, Field(description="How the login was tried.")] = None


class ChangeShown(_Shown):
    """A setting to look at; values are left out where they are secret or not known."""

    field: Annotated[str, Field(description="The setting, by its name in this API.")]
    current: str | int | None = None
    suggested: str | int | None = None


class FailureShown(_Shown):
    """Why the test failed, and what to do."""

    code: Annotated[probe.FailureCode, Field(description="A stable name, meant for programs.")]
    stage: probe.ProbeStage
    title: str
    explanation: str
    steps: list[str]
    changes: list[ChangeShown]
    reply: ReplyShown | None = None


class WarningShown(_Shown):
    """Something that works and should not stay as it is."""

    code: probe.WarningCode
    explanation: str
    field: str | None = None


class ConnectionTestReport(_Shown):
    """What a connection test found, stage by stage."""

    succeeded: bool
    milliseconds: int
    stages: list[StageShown]
    failure: FailureShown | None = None
    warnings: list[WarningShown]
