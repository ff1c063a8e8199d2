"""Facts about the service: its version, its effective settings, and monitoring."""

import platform
from datetime import date
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field, WithJsonSchema

from mailsettings import __version__
from mailsettings.dialects.v1.lists import whole_list
from mailsettings.dialects.v1.moments import Moment, at, moment
from mailsettings.dialects.v1.operations import NO_QUERY, example, json_response, new_router
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.domain.access import Permission
from mailsettings.domain.monitoring import Health
from mailsettings.domain.service import MonitoringFacts, SettingSource, WaitingDelivery
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.openapi import Count
from mailsettings.web.routing import requires_permission

TAG = "Service"

open_router = new_router(TAG, behind_permission=False)
router = new_router(TAG)


class DatabaseFacts(BaseModel):
    """The database of the service."""

    kind: Annotated[str, WithJsonSchema({"type": "string", "enum": ["sqlite", "postgresql"]})] = Field(
        description="`sqlite` or `postgresql`."
    )
    version: str = Field(description="Version of the database.")
    schema_revision: str = Field(description="The last migration that was applied.")


class ServiceVersion(BaseModel):
    """The versions of this program, of Python, and of the database."""

    version: str = Field(description="Version of mail-settings.")
    python: str = Field(description="Version of Python.")
    database: DatabaseFacts = Field(description="The database.")


class SettingView(BaseModel):
    """A setting as it takes effect in the process that answers."""

    name: str = Field(description="Name of its environment variable.")
    value: Annotated[str | int | bool | list[str] | None, WithJsonSchema({})] = Field(
        description="Its value: text, a whole number, a truth value or a list of texts; null for a secret, and "
        "for a setting without a value."
    )
    secret: bool = Field(description="Whether the value is a secret, which is never shown.")
    is_set: bool = Field(description="Whether it has a value.")
    source: SettingSource = Field(
        description="Where the value comes from: the default, the environment, an option of the command line, or "
        "a file that an earlier start wrote."
    )
    description: str = Field(description="What the setting does.")


class SettingList(BaseModel):
    """All settings."""

    items: list[SettingView] = Field(description="The settings, in the order of the documents.")
    next_cursor: str | None = Field(description="Always null: the list has one page.")


class MonitoringLeader(BaseModel):
    """The process that runs the scheduled checks."""

    holder: str = Field(description="Machine, process id and a random part, with colons between.")
    until: Moment = Field(description="When another process takes over if this one stops renewing.")


class DeliverySummary(BaseModel):
    """The events for the webhook."""

    webhook: bool = Field(description="Whether a webhook is set.")
    waiting: Count = Field(description="Events that wait for their delivery.")
    failed: Count = Field(description="Waiting events that failed at least once, and are tried again.")


class MonitoringView(BaseModel):
    """The state of monitoring itself."""

    enabled: bool = Field(description="Whether this process takes part in the scheduled checks.")
    interval_seconds: Count | None = Field(description="Time between two checks of a mail server.")
    leader: MonitoringLeader | None = Field(description="The process that runs the checks; null if none does.")
    last_check_at: Moment | None = Field(description="When a check last ended.")
    mail_servers: dict[str, int] = Field(description="How many mail servers have each health.")
    first_certificate_expires_at: Moment | None = Field(description="The first expiry of a certificate.")
    first_secret_expires_on: date | None = Field(
        description="The first expiry of a stored secret with a known date."
    )
    deliveries: DeliverySummary = Field(description="What the webhook still has to get.")


class DeliveryView(BaseModel):
    """An event that waits for the webhook."""

    id: str = Field(description="Id of the event, the same at each attempt.")
    type: str = Field(description="Type of the event.", examples=["mail_server.failing"])
    created_at: Moment = Field(description="When it happened.")
    failed_attempts: Count = Field(description="Attempts that failed.")
    next_attempt_at: Moment = Field(description="When the next attempt is due.")


class DeliveryPage(BaseModel):
    """A page of events that wait for the webhook."""

    items: list[DeliveryView] = Field(description="The events, by id.")
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page; null on the last page.")


_SETTING: dict[str, Any] = {
    "name": "MAILSETTINGS_PORT",
    "value": 8080,
    "secret": False,
    "is_set": True,
    "source": "default",
    "description": "The port that `serve` listens on; its option `--port` wins.",
}
_MONITORING: dict[str, Any] = {
    "enabled": True,
    "interval_seconds": 900,
    "leader": {"holder": "mail-1:4711:6f1b2e8d904f0c1d", "until": "2026-11-28T10:15:30Z"},
    "last_check_at": "2026-11-28T10:15:00Z",
    "mail_servers": {"unchecked": 0, "working": 3, "unconfirmed": 0, "failing": 1},
    "first_certificate_expires_at": "2027-03-01T00:00:00Z",
    "first_secret_expires_on": "2027-05-31",
    "deliveries": {"webhook": True, "waiting": 1, "failed": 1},
}
_DELIVERY: dict[str, Any] = {
    "id": "msg_4f0c1d7c2f5b4b0e9d0a3c6f1b2e8d90",
    "type": "mail_server.failing",
    "created_at": "2026-11-28T10:15:00Z",
    "failed_attempts": 1,
    "next_attempt_at": "2026-11-28T10:20:00Z",
}


@open_router.get(
    "/v1/version",
    operation_id="get_version",
    summary="Get the version of the program",
    response_description="The versions.",
    response_model=ServiceVersion,
    responses={
        200: example(
            {
                "version": "0.5.0",
                "python": "3.11.9",
                "database": {"kind": "sqlite", "version": "3.46.1", "schema_revision": "0007"},
            }
        )
    },
    dependencies=[NO_QUERY],
)
async def get_version(request: Request) -> Response:
    """Return the versions of the program, of Python and of the database. Every valid access token is enough."""
    database = await use_cases(request).service.database()
    facts = DatabaseFacts(kind=database.kind, version=database.version, schema_revision=database.schema)
    found = ServiceVersion(version=__version__, python=platform.python_version(), database=facts)
    return json_response(found.model_dump())


@router.get(
    "/v1/settings",
    operation_id="list_settings",
    summary="List the effective settings",
    response_description="The settings.",
    response_model=SettingList,
    responses={200: example({"items": [_SETTING], "next_cursor": None})},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def list_settings(request: Request) -> Response:
    """Return all settings with their values and sources. Secrets are left out, and URLs lose their passwords."""
    return whole_list(
        {
            "name": each.name,
            "value": each.value,
            "secret": each.is_secret,
            "is_set": each.is_set,
            "source": each.source,
            "description": each.description,
        }
        for each in use_cases(request).service.settings(current_principal(request))
    )


@router.get(
    "/v1/monitoring",
    operation_id="get_monitoring",
    summary="Get the state of monitoring",
    response_description="The state of monitoring.",
    response_model=MonitoringView,
    responses={200: example(_MONITORING)},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_monitoring(request: Request) -> Response:
    """Return whether the scheduled checks run, which process runs them, and what they found in total.

    `GET /v1/mail-servers` has the health of each mail server.
    """
    facts = await use_cases(request).service.monitoring(current_principal(request))
    return json_response(_monitoring(facts).model_dump(mode="json"))


@router.get(
    "/v1/monitoring/deliveries",
    operation_id="list_deliveries",
    summary="List the events that wait for the webhook",
    response_description="A page of events.",
    response_model=DeliveryPage,
    responses={200: {**example({"items": [_DELIVERY], "next_cursor": None}), **LINKED[200]}},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def list_deliveries(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Return the events that wait for their delivery, with their failed attempts.

    The log of the program has the reason of each failed attempt.
    """
    found = await use_cases(request).service.deliveries(
        current_principal(request), query.after or "", query.limit + 1
    )
    return page_response(request, query, found, lambda each: each.id, _delivery)


def _monitoring(facts: MonitoringFacts) -> MonitoringView:
    summary, leader = facts.summary, facts.leader
    return MonitoringView(
        enabled=facts.interval_seconds is not None,
        interval_seconds=facts.interval_seconds,
        leader=None if leader is None else _leader(leader.holder, leader.until),
        last_check_at=moment(summary.checked_at),
        mail_servers={health.value: summary.servers.get(health, 0) for health in Health},
        first_certificate_expires_at=moment(summary.certificate_ends_at),
        first_secret_expires_on=summary.secret_ends_on,
        deliveries=DeliverySummary(
            webhook=facts.has_webhook, waiting=facts.deliveries.waiting, failed=facts.deliveries.failed
        ),
    )


def _leader(holder: str, until: float) -> MonitoringLeader:
    return MonitoringLeader(holder=holder, until=at(until))


def _delivery(each: WaitingDelivery) -> dict[str, object]:
    return DeliveryView(
        id=each.id,
        type=each.type,
        created_at=at(each.created_at),
        failed_attempts=each.failed_attempts,
        next_attempt_at=at(each.next_attempt_at),
    ).model_dump(mode="json")
