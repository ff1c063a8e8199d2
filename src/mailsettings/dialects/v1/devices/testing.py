"""The test of a device: a mail through a running relay, and how both halves of its way went."""

import json
from typing import Annotated, Any

from fastapi import Body, Request, Response
from pydantic import BaseModel, Field

from mailsettings.dialects.v1.connection_tests import examples
from mailsettings.dialects.v1.connection_tests.events import report_json
from mailsettings.dialects.v1.connection_tests.schemas import ConnectionReport, RequiredRecipient
from mailsettings.dialects.v1.devices.routes import PATH, TAG, Ref
from mailsettings.dialects.v1.messages import MessageView, message_members
from mailsettings.dialects.v1.operations import NO_QUERY, WITH_BODY, example, json_response, new_router, not_found
from mailsettings.dialects.v1.problems import Problem
from mailsettings.dialects.v1.request_parts import Input
from mailsettings.domain.access import Permission
from mailsettings.use_cases.devices.testing import DeviceTestReport
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.openapi import error_responses
from mailsettings.web.routing import requires_permission


class DeviceTest(Input):
    """The recipient of the test mail."""

    recipient: RequiredRecipient


class DeviceReport(BaseModel):
    """How the test mail went, from the device to the relay and from the relay to the mail server."""

    device: str = Field(description="Name of the device.")
    delivered: bool = Field(description="Whether the mail server accepted the mail.")
    relay: str = Field(description="Listener of the relay that the mail went through.")
    submission: ConnectionReport = Field(description="From the device to the relay, stage by stage.")
    message: MessageView | None = Field(
        description="From the relay to the mail server, as in the message log; null if the mail got no further."
    )


_REPORT: dict[str, Any] = {
    "device": "scanner-3",
    "delivered": False,
    "relay": "starttls://10.1.0.5:2587",
    "submission": examples.REPORT,
    "message": None,
}
_TESTS = {"one mail": {"summary": "One mail", "value": {"recipient": "me@example.com"}}}

router = new_router(TAG)


@router.post(
    f"{PATH}/{{ref}}/test",
    operation_id="test_device",
    summary="Test a device",
    response_description="What the test found, also if it failed.",
    response_model=DeviceReport,
    responses={
        200: example(_REPORT),
        **not_found("No device has this id or name."),
        **error_responses(Problem, 409, on_409="The device is disabled, or no relay runs."),
        **WITH_BODY,
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def run_device_test(
    request: Request, ref: Ref, test: Annotated[DeviceTest, Body(openapi_examples=_TESTS)]
) -> Response:
    """Submit a mail through a running relay as this device, with a login that works once.

    A test that fails is a successful request with `delivered: false`. The networks of the device do not count,
    because the mail comes from this service.
    """
    found = await use_cases(request).device_tests(current_principal(request), ref, test.recipient)
    return json_response(_members(found))


def _members(found: DeviceTestReport) -> dict[str, object]:
    return {
        "device": found.device,
        "delivered": found.is_delivered,
        "relay": str(found.listener),
        "submission": json.loads(report_json(found.submission)),
        "message": None if found.message is None else message_members(found.message),
    }
