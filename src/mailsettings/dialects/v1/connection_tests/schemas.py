"""The JSON of connection tests: what to test, and the report in the spelling of this API.

A report has the members of `web/report_schema.py`; the classes here give them their names in snake_case.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from mailsettings.dialects.v1.mail_servers.inputs import ConnectionInput, without_default
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL, Input, rule
from mailsettings.domain.monitoring import Health
from mailsettings.domain.observation import AddressOutcome
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import require_mail_address
from mailsettings.web import report_schema as shared
from mailsettings.web.openapi import Int32
from mailsettings.web.report_schema import Absent

_OWN = ConfigDict(alias_generator=lambda name: name)


class ReportedReply(shared.ReplyShown):
    """A reply of the mail server, its text cleaned and cut."""

    model_config = _OWN


class ReportedAddress(shared.OwnAddressShown):
    """An attempt to connect to one address of the host."""

    model_config = _OWN
    outcome: Annotated[AddressOutcome, Field(description="How the attempt ended.")]
    problem: Annotated[str | Absent, Field(description="Why the attempt failed.")] = None


class ReportedGreeting(shared.GreetingShown):
    """What the mail server says about itself in its answer to EHLO."""

    model_config = _OWN


class ReportedCertificate(shared.CertificateShown):
    """A certificate as the mail server presented it, trusted or not."""

    model_config = _OWN


class ReportedTLS(shared.TLSShown):
    """How the connection is encrypted."""

    model_config = _OWN
    chain: Annotated[  # type: ignore[assignment]  # the same members by other names
        list[ReportedCertificate], Field(description="The server's own certificate comes first.")
    ]


class ReportedStage(shared.StageShown):
    """One stage of a connection test; members that do not belong to the stage are left out."""

    model_config = _OWN
    reply: Annotated[ReportedReply | Absent, Field(description="The last reply of the mail server.")] = None
    addresses: Annotated[
        list[ReportedAddress] | Absent, Field(description="Each attempt to connect to an address of the host.")
    ] = None  # type: ignore[assignment]  # as above
    greeting: Annotated[ReportedGreeting | Absent, Field(description="What the server says about itself.")] = None
    tls: Annotated[ReportedTLS | Absent, Field(description="The encryption, and who the server is.")] = None


class ReportedChange(shared.ChangeShown):
    """A setting to look at; values that are secret or unknown are left out."""

    model_config = _OWN


class ReportedFailure(shared.FailureShown):
    """Why the test failed, and what to do."""

    model_config = _OWN
    changes: Annotated[  # type: ignore[assignment]  # as above
        list[ReportedChange], Field(description="The settings to look at.")
    ]
    reply: Annotated[ReportedReply | Absent, Field(description="The reply that refused it.")] = None


class ReportedWarning(shared.WarningShown):
    """Something that works and should be improved."""

    model_config = _OWN


class ConnectionReport(shared.ConnectionTestReport):
    """What a connection test found, stage by stage; members without a value are left out."""

    model_config = _OWN
    stages: Annotated[list[ReportedStage], Field(description="The stages in order.")]  # type: ignore[assignment]  # as above
    failure: Annotated[ReportedFailure | Absent, Field(description="Present if the test failed.")] = None
    warnings: Annotated[  # type: ignore[assignment]  # as above
        list[ReportedWarning], Field(description="What works and should be improved.")
    ]


class TestedServer(BaseModel):
    """The mail server that a report is about."""

    id: Annotated[int, Field(ge=1, json_schema_extra=Int32, description="Its id.")]
    name: Annotated[str, Field(description="Its name.")]


class ServerReport(BaseModel):
    """The report of one mail server among several."""

    mail_server: Annotated[TestedServer, Field(description="The tested mail server.")]
    report: Annotated[ConnectionReport, Field(description="What the test found.")]


class ServerReports(BaseModel):
    """The reports of several mail servers."""

    items: Annotated[list[ServerReport], Field(description="The reports, in the order in which the tests ended.")]


def _require_recipient(address: str) -> None:
    require_mail_address(Setting.RECIPIENT, address)


Recipient = Annotated[
    StrictStr | None,
    WITHOUT_NULL,
    Field(max_length=255, description="Address that gets the test mail; without it, no mail is sent."),
    rule(_require_recipient),
]


RequiredRecipient = Annotated[
    StrictStr,
    Field(max_length=255, description="Address that gets the test mail."),
    rule(_require_recipient),
]


class StoredTest(Input):
    """Options of the test of a stored mail server."""

    recipient: Recipient = None


class SettingsTest(Input):
    """The settings to test."""

    settings: Annotated[ConnectionInput, Field(description="The settings.")]
    recipient: Recipient = None
    based_on: Annotated[
        StrictStr | None,
        WITHOUT_NULL,
        Field(
            max_length=63,
            description="Id or name of a stored mail server: its secret is used if `settings` leaves the secret "
            "out and has the same destination.",
            examples=["relay-berlin"],
        ),
    ] = None


class TestedServers(Input):
    """Which mail servers to test; without a condition, all that are enabled."""

    name: Annotated[
        StrictStr | None,
        WITHOUT_NULL,
        Field(max_length=63, description="Only those with this text in their name."),
    ] = None
    label: Annotated[
        list[StrictStr],
        Field(
            max_length=20,
            default_factory=list,
            description="Only those with all these labels: `key` or `key=value`.",
        ),
    ]
    health: Annotated[Health | None, WITHOUT_NULL, Field(description="Only those with this health.")] = None


class ServersTest(Input):
    """The mail servers to test, and the recipient of the mails."""

    filter: Annotated[
        TestedServers,
        # Without the default: generated clients in Go do not compile with a default that is an object.
        Field(description="Which mail servers to test.", json_schema_extra=without_default),
    ] = TestedServers(label=[])
    recipient: Recipient = None
