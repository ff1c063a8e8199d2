"""The message log: which messages devices submitted and how they ended, newest first."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema

from mailsettings.dialects.v1.moments import Moment
from mailsettings.dialects.v1.operations import example, new_router
from mailsettings.dialects.v1.paging import LINKED, PageQuery, invalid_cursor, page_response
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.domain.access import Permission
from mailsettings.domain.message_log import LoggedMessage, MessageFilter, MessageResult, is_message_id
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.openapi import Count, Int32
from mailsettings.web.routing import requires_permission

PATH = "/v1/messages"
TAG = "Message log"

router = new_router(TAG)


class MessageRecipientView(BaseModel):
    """A recipient of a message."""

    address: str = Field(description="Address, in lower case.")
    accepted: bool = Field(description="Whether the mail server accepted it.")


class MessageView(BaseModel):
    """A message that a device submitted, without its content."""

    id: str = Field(description="Id of the record.")
    at: Moment = Field(description="When the message ended.")
    device: str = Field(description="Name of the device at that time.")
    device_id: Annotated[int, WithJsonSchema({**Int32, "minimum": 1})] = Field(description="Id of the device.")
    peer: str = Field(description="Network address of the device.")
    mail_server_id: Annotated[int | None, WithJsonSchema({**Int32, "minimum": 1, "type": ["integer", "null"]})] = (
        Field(description="Id of the mail server; null if there was none to use.")
    )
    sender: str = Field(description="Envelope sender as the device sent it; empty for the null sender.")
    recipients: list[MessageRecipientView] = Field(description="Recipients of the envelope.")
    size: Count = Field(description="Size in bytes.")
    message_id: str | None = Field(description="The field `Message-ID`; null if the message did not get so far.")
    result: Annotated[str, WithJsonSchema({"type": "string", "enum": [*MessageResult]})] = Field(
        description="`delivered`: the mail server accepted it; `refused` for good; `failed` for now; `aborted` by "
        "the device; `unknown`: the connection broke before the answer."
    )
    code: Annotated[int, WithJsonSchema(Int32)] = Field(description="Reply code that the device got.")
    enhanced_code: str | None = Field(description="Enhanced status code (RFC 3463), if the reply had one.")
    failure: str | None = Field(description="Code of the trouble with the mail server, as in connection tests.")
    words: str = Field(description="The mail server's last reply.")
    milliseconds: Count = Field(description="Time from the sender to the answer.")


class MessagePage(BaseModel):
    """A page of the message log, newest first."""

    items: list[MessageView] = Field(description="The messages.")
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page; null on the last page.")


def _as_time(text: str) -> str:
    _time(text)
    return text


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # also before the year 1 or after 9999 in UTC
        raise ValueError("must be a time like 2026-11-28T10:00:00Z, or a day like 2026-11-28.") from None


Time = Annotated[str | None, WITHOUT_NULL, AfterValidator(lambda text: text and _as_time(text))]


class MessageQuery(PageQuery):
    """The parameters of the message log."""

    device: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(max_length=63, description="Only messages of the device of this name.", examples=["scanner-3"]),
    ] = None
    to: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(max_length=1000, description="Only messages to this address.", examples=["user@example.com"]),
    ] = None
    sender: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(max_length=1000, description="Only messages with this envelope sender; empty for the null sender."),
    ] = None
    message_id: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(max_length=1000, description="Only messages with this `Message-ID`.", examples=["<1@example.com>"]),
    ] = None
    failed: Annotated[
        bool | None,
        WITHOUT_NULL,
        Field(description="With true only messages that were not delivered, with false only those that were."),
    ] = None
    since: Annotated[
        Time, Field(max_length=40, description="Leave out older messages.", examples=["2026-11-28T10:00:00Z"])
    ] = None
    until: Annotated[
        Time, Field(max_length=40, description="Leave out messages from this time on.", examples=["2026-11-29"])
    ] = None

    def to_filter(self) -> MessageFilter:
        """Return the filter of the domain."""
        return MessageFilter(
            device=self.device,
            recipient=self.to,
            sender=self.sender,
            message_id=self.message_id,
            failed=self.failed,
            since=None if self.since is None else _time(self.since),
            until=None if self.until is None else _time(self.until),
        )

    @property
    def before(self) -> str | None:
        """The id after which the page begins; None for the first page. Raises `ParameterInvalid`."""
        position = self.after
        if position is not None and not is_message_id(position):
            raise invalid_cursor()
        return position


_MESSAGE = {
    "id": "019ac9d6f40000002a3f9c1e5b7d8046",
    "at": "2026-11-28T10:15:30.123456Z",
    "device": "scanner-3",
    "device_id": 7,
    "peer": "10.1.2.3",
    "mail_server_id": 1,
    "sender": "scan@example.com",
    "recipients": [{"address": "user@example.com", "accepted": True}],
    "size": 20480,
    "message_id": "<1@example.com>",
    "result": "delivered",
    "code": 250,
    "enhanced_code": "2.0.0",
    "failure": None,
    "words": "2.0.0 OK queued",
    "milliseconds": 45,
}


@router.get(
    PATH,
    operation_id="list_messages",
    summary="Read the message log, newest first",
    response_description="A page of messages, newest first.",
    response_model=MessagePage,
    responses={200: {**example({"items": [_MESSAGE], "next_cursor": None}), **LINKED[200]}},
)
@requires_permission(Permission.MESSAGES_READ)
async def list_messages(request: Request, query: Annotated[MessageQuery, Query()]) -> Response:
    """Return the messages of devices, newest first; an index serves each filter.

    The log has neither content nor subjects. A message appears within about a second, and is kept for the days
    of the setting `MAILSETTINGS_RELAY_LOG_DAYS`.
    """
    found = await use_cases(request).messages.page(
        current_principal(request), query.to_filter(), query.before, query.limit + 1
    )
    return page_response(request, query, found, lambda message: message.id, message_members)


def message_members(message: LoggedMessage) -> dict[str, object]:
    """Return *message* as this API shows it."""
    record = message.record
    return MessageView(
        id=message.id,
        at=record.at,
        device=record.device,
        device_id=record.device_id,
        peer=record.peer,
        mail_server_id=record.mail_server_id,
        sender=record.sender,
        recipients=[
            MessageRecipientView(address=each.address, accepted=each.accepted) for each in record.recipients
        ],
        size=record.size,
        message_id=record.message_id,
        result=record.result,
        code=record.code,
        enhanced_code=record.enhanced_code,
        failure=record.failure,
        words=record.words,
        milliseconds=record.milliseconds,
    ).model_dump(mode="json")
