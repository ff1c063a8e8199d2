"""The path operations on devices: parse, call the use case, translate, respond."""

from typing import Annotated, Any

from fastapi import Body, Depends, Path, Query, Request, Response

from mailsettings.dialects.v1.devices import inputs
from mailsettings.dialects.v1.devices import schemas as wire
from mailsettings.dialects.v1.operations import NO_QUERY, WITH_BODY, example, json_response, new_router, not_found
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.dialects.v1.problems import Problem
from mailsettings.domain.access import Permission
from mailsettings.domain.device import DeviceRef, device_ref
from mailsettings.domain.values import Secret
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import reads_request
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, error_responses, header_references
from mailsettings.web.routing import requires_permission

PATH = "/v1/devices"
TAG = "Devices"

_VIEW: dict[str, Any] = {
    "id": 7,
    "name": "scanner-3",
    "description": "third floor",
    "enabled": True,
    "senders": ["scan@example.com"],
    "from_domains": [],
    "networks": ["10.1.0.0/16"],
    "trusts_network": False,
    "mail_server": None,
    "mail_server_problem": None,
    "sends_as_stored_sender": False,
    "sends_null_sender": False,
    "messages_per_minute": 30,
    "max_recipients": 100,
    "max_message_bytes": None,
    "secret_stored_at": "2026-11-28T10:15:30.123456Z",
    "created_at": "2026-11-28T10:15:30.123456Z",
    "created_by": "admin",
    "changed_at": "2026-11-28T10:15:30.123456Z",
    "changed_by": "admin",
    "version": 2,
    "last_used_at": "2026-11-28T11:00:00Z",
    "last_peer": "10.1.2.3",
}
_LOGIN = {
    "id": 7,
    "name": "scanner-3",
    "secret": "k7m2qx9rtw4hczp8v3nbe6sydf",
    "submission": [{"host": "relay.example.com", "port": 2587, "security": "starttls"}],
}
_NEW: dict[str, Any] = {
    "scanner": {
        "summary": "A scanner with a login from one network",
        "value": {
            "name": "scanner-3",
            "senders": ["scan@example.com"],
            "networks": ["10.1.0.0/16"],
            "messages_per_minute": 30,
        },
    },
    "laboratory": {
        "summary": "Devices without a login, by their network",
        "value": {
            "name": "laboratory",
            "networks": ["10.9.0.0/24"],
            "trusts_network": True,
            "sends_as_stored_sender": True,
        },
    },
}
_PATCHES = {"limit": {"summary": "Another limit", "value": {"messages_per_minute": 60}}}
_NOT_FOUND = not_found("No device has this id or name.")
_TAKEN: Responses = error_responses(
    Problem, 409, on_409="The name is taken, or another device trusts some of the same addresses."
)

router = new_router(TAG)


@reads_request
async def _ref(ref: Annotated[str, Path(description="Id or name of the device.", examples=["7"])]) -> DeviceRef:
    return device_ref(ref)


Ref = Annotated[DeviceRef, Depends(_ref)]
"""The id or name in the path. Raises `DeviceNotFound` if it is neither."""


@router.get(
    PATH,
    operation_id="list_devices",
    summary="List devices",
    response_description="A page of devices, by name.",
    response_model=wire.DevicePage,
    responses={200: {**example({"items": [_VIEW], "next_cursor": None}), **LINKED[200]}},
)
@requires_permission(Permission.DEVICES_MANAGE)
async def list_devices(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
    """Return the devices with their last use, a page at a time."""
    found = await use_cases(request).devices.page(current_principal(request), query.after or "", query.limit + 1)
    return page_response(
        request,
        query,
        found,
        lambda each: each.stored.device.name,
        lambda each: wire.view(each).model_dump(mode="json"),
    )


@router.post(
    PATH,
    operation_id="create_device",
    summary="Create a device",
    status_code=201,
    response_description="What to enter into the device; the secret is not shown again.",
    response_model=wire.DeviceLogin,
    responses={201: {**example(_LOGIN), **header_references("Location")}, **_TAKEN, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def create_device(
    request: Request, settings: Annotated[inputs.NewDevice, Body(openapi_examples=_NEW)]
) -> Response:
    """Create a device: a printer, scanner or program that may send through the relay.

    The response has its secret, once; if the response is lost, create a new secret. A device that trusts its
    network has none.
    """
    device_id, secret = await use_cases(request).devices.add(
        current_principal(request), inputs.to_settings(settings)
    )
    return _login(request, device_id, settings.name, secret, created=True)


@router.get(
    f"{PATH}/{{ref}}",
    operation_id="get_device",
    summary="Get a device",
    response_description="The device.",
    response_model=wire.DeviceView,
    responses={200: example(_VIEW), **_NOT_FOUND},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def get_device(request: Request, ref: Ref) -> Response:
    """Return one device by its id or name, without its secret."""
    return await _shown(request, ref)


@router.patch(
    f"{PATH}/{{ref}}",
    operation_id="update_device",
    summary="Change members of a device",
    response_description="The device as it is now.",
    response_model=wire.DeviceView,
    responses={200: example(_VIEW), **_NOT_FOUND, **_TAKEN, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def update_device(
    request: Request,
    ref: Ref,
    patch: Annotated[
        inputs.DevicePatch, Body(media_type="application/merge-patch+json", openapi_examples=_PATCHES)
    ],
) -> Response:
    """Change the members that are sent (JSON Merge Patch, RFC 7396); null gives a member its default.

    A change counts for the next message. The secret stays. A device that no longer trusts its network needs a
    new secret. `application/json` is accepted as well.
    """
    device_id = await use_cases(request).devices.update(current_principal(request), ref, inputs.patching(patch))
    return await _shown(request, device_id)


@router.delete(
    f"{PATH}/{{ref}}",
    operation_id="delete_device",
    summary="Delete a device",
    status_code=204,
    response_class=Response,
    response_description="The device is deleted; its messages stay in the message log.",
    responses=_NOT_FOUND,
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def delete_device(request: Request, ref: Ref) -> Response:
    """Delete a device; its next message is refused."""
    await use_cases(request).devices.remove(current_principal(request), ref)
    return Response(status_code=204, headers=NO_STORE)


@router.post(
    f"{PATH}/{{ref}}/enable",
    operation_id="enable_device",
    summary="Enable a device",
    response_description="The device as it is now.",
    response_model=wire.DeviceView,
    responses={200: example(_VIEW), **_NOT_FOUND},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def enable_device(request: Request, ref: Ref) -> Response:
    """Enable a device; without effect if it is enabled."""
    return await _set_enabled(request, ref, enabled=True)


@router.post(
    f"{PATH}/{{ref}}/disable",
    operation_id="disable_device",
    summary="Disable a device",
    response_description="The device as it is now.",
    response_model=wire.DeviceView,
    responses={200: example({**_VIEW, "enabled": False}), **_NOT_FOUND},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def disable_device(request: Request, ref: Ref) -> Response:
    """Disable a device: its next message is refused; without effect if it is disabled."""
    return await _set_enabled(request, ref, enabled=False)


@router.post(
    f"{PATH}/{{ref}}/new-secret",
    operation_id="create_device_secret",
    summary="Replace the secret of a device",
    response_description="What to enter into the device; the secret is not shown again.",
    response_model=wire.DeviceLogin,
    responses={200: example(_LOGIN), **_NOT_FOUND},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.DEVICES_MANAGE)
async def create_device_secret(request: Request, ref: Ref) -> Response:
    """Make a new secret; the old one stops working at once."""
    device_id, name, secret = await use_cases(request).devices.replace_secret(current_principal(request), ref)
    return _login(request, device_id, name, secret)


async def _set_enabled(request: Request, ref: DeviceRef, *, enabled: bool) -> Response:
    devices = use_cases(request).devices
    return await _shown(request, await devices.set_enabled(current_principal(request), ref, enabled=enabled))


async def _shown(request: Request, ref: DeviceRef) -> Response:
    found = await use_cases(request).devices.get(current_principal(request), ref)
    return json_response(wire.view(found).model_dump(mode="json"))


def _login(
    request: Request, device_id: int, name: str, secret: Secret | None, *, created: bool = False
) -> Response:
    cases = use_cases(request)
    base = (cases.public_url or str(request.base_url)).rstrip("/")
    headers = {"Location": f"{base}{PATH}/{device_id}"} if created else {}
    shown = wire.login(device_id, name, secret, cases.submission)
    return json_response(shown.model_dump(), 201 if created else 200, headers)
