"""The keys that encrypt stored secrets, and the keys that sign access tokens; no key itself is ever shown.

Rotating and dropping encryption keys stays on the machine that has the key file.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from mailsettings.dialects.v1.lists import whole_list
from mailsettings.dialects.v1.moments import Moment
from mailsettings.dialects.v1.operations import NO_QUERY, example, json_response, new_router, not_found
from mailsettings.dialects.v1.problems import STYLE, Problem
from mailsettings.domain.access import Permission
from mailsettings.domain.encryption_keys import EncryptionKeyReport, ResealResult
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.event_stream import MEDIA_TYPE, Emit, Event, event_stream, wants_events
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Count, error_responses
from mailsettings.web.routing import requires_permission

ENCRYPTION, SIGNING = "/v1/encryption-keys", "/v1/signing-keys"
TAG = "Keys"

router = new_router(TAG)


class EncryptionKeyView(BaseModel):
    """A key that encrypts stored secrets."""

    id: str = Field(description="Id of the key.")
    current: bool = Field(description="Whether it encrypts new secrets.")
    available: bool = Field(description="Whether the key file has it.")
    secrets: Count = Field(description="How many secrets are encrypted with it.")


class EncryptionKeyStatus(BaseModel):
    """The encryption keys, and the secrets that no key decrypts."""

    items: list[EncryptionKeyView] = Field(description="The keys.")
    unreadable: list[str] = Field(description="Places of secrets that cannot be decrypted.")


class ResealedSecrets(BaseModel):
    """The result of resealing."""

    resealed: Count = Field(description="How many secrets were encrypted again.")
    unreadable: list[str] = Field(description="Places of secrets that cannot be decrypted; they are unchanged.")
    unmarked_key_file: str | None = Field(
        description="Path of a read-only key file that still decrypts secrets of version 0.1.0. Write the word "
        "`bound` after each key in it."
    )


class SigningKeyView(BaseModel):
    """A key that signs access tokens."""

    id: str = Field(description="Id of the key, as in the header of a token.")
    created_at: Moment = Field(description="When it was created.")
    current: bool = Field(description="Whether it signs new tokens; the other keys verify older tokens.")


class SigningKeyList(BaseModel):
    """The signing keys, oldest first."""

    items: list[SigningKeyView] = Field(description="The keys.")
    next_cursor: str | None = Field(description="Always null: the list has one page.")


_KEY = {"id": "b6d0c7f5a1e20934", "current": True, "available": True, "secrets": 3}
_SIGNING_KEY = {"id": "1a2b3c4d5e6f7081", "created_at": "2026-11-21T10:15:30Z", "current": True}
_RESEALED = {"resealed": 3, "unreadable": [], "unmarked_key_file": None}
_EVENTS = {
    "schema": {"type": "string"},
    "example": 'event: progress\ndata: {"resealed":0,"total":3}\n\n'
    'event: done\ndata: {"resealed":3,"unreadable":[],"unmarked_key_file":null}\n\n',
}
_ONE: dict[str, object] = {"items": [_SIGNING_KEY], "next_cursor": None}


@router.get(
    ENCRYPTION,
    operation_id="get_encryption_keys",
    summary="Get the state of the encryption keys",
    response_description="The keys.",
    response_model=EncryptionKeyStatus,
    responses={200: example({"items": [_KEY], "unreadable": []})},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.KEYS_MANAGE)
async def get_encryption_keys(request: Request) -> Response:
    """Return each key with the number of secrets that need it, and the secrets that no key decrypts."""
    report = await use_cases(request).encryption_keys.status(current_principal(request))
    return json_response(_status(report).model_dump())


@router.post(
    f"{ENCRYPTION}/reseal",
    operation_id="reseal_secrets",
    summary="Encrypt all secrets with the current key",
    response_description="All secrets are encrypted with the current key, except unreadable secrets.",
    response_model=ResealedSecrets,
    responses={
        200: {"content": {"application/json": {"example": _RESEALED}, MEDIA_TYPE: _EVENTS}},
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.KEYS_MANAGE)
async def reseal_secrets(request: Request) -> Response:
    """Encrypt every secret that an older key encrypted, while other requests run.

    It may be interrupted and repeated: it continues with the remaining secrets. With `Accept: text/event-stream`
    the response has an event `progress` after each part, and `done` with the result.
    """
    keys, caller = use_cases(request).encryption_keys, current_principal(request)
    if not wants_events(request):
        return json_response(_resealed(await keys.reseal(caller)))

    async def work(emit: Emit) -> None:
        total = await keys.outdated(caller)
        emit(_event("progress", {"resealed": 0, "total": total}))

        async def note(done: ResealResult) -> None:
            emit(_event("progress", {"resealed": done.count, "total": total}))

        emit(_event("done", _resealed(await keys.reseal(caller, on_progress=note))))

    style, request_id = STYLE.at(request.scope["path"]), request.scope.get("request_id")
    return await event_stream(
        work, lambda error: to_json(style.details(error, request_id)).decode(), outlives_client=False
    )


@router.get(
    SIGNING,
    operation_id="list_signing_keys",
    summary="List the signing keys",
    response_description="The keys, oldest first.",
    response_model=SigningKeyList,
    responses={200: example(_ONE)},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.KEYS_MANAGE)
async def list_signing_keys(request: Request) -> Response:
    """Return the keys, oldest first; the last key signs."""
    return whole_list(await _signing_keys(request))


@router.post(
    f"{SIGNING}/rotate",
    operation_id="rotate_signing_keys",
    summary="Sign with a new key",
    response_description="The keys, oldest first; the last key is new.",
    response_model=SigningKeyList,
    responses={200: example(_ONE)},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.KEYS_MANAGE)
async def rotate_signing_keys(request: Request) -> Response:
    """Create a key that signs from now on. Tokens of older keys stay valid until their keys are deleted."""
    await use_cases(request).signing_keys.rotate(current_principal(request))
    return whole_list(await _signing_keys(request))


@router.delete(
    f"{SIGNING}/{{key}}",
    operation_id="delete_signing_key",
    summary="Delete a signing key",
    status_code=204,
    response_description="The key is deleted.",
    response_class=Response,
    responses={
        **not_found("No signing key has this id."),
        **error_responses(Problem, 409, on_409="The key signs; rotate the signing keys first."),
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.KEYS_MANAGE)
async def delete_signing_key(
    request: Request, key: Annotated[str, Path(description="Id of the key.", examples=["1a2b3c4d5e6f7081"])]
) -> Response:
    """Delete a key; the tokens that it signed become invalid within seconds on every server."""
    await use_cases(request).signing_keys.drop(current_principal(request), key)
    return Response(status_code=204, headers=NO_STORE)


def _resealed(done: ResealResult) -> dict[str, object]:
    return ResealedSecrets(
        resealed=done.count, unreadable=list(done.unreadable), unmarked_key_file=done.unmarked
    ).model_dump()


def _event(name: str, data: Mapping[str, object]) -> Event:
    return Event(name, to_json(data).decode())


async def _signing_keys(request: Request) -> list[dict[str, object]]:
    found = await use_cases(request).signing_keys.facts(current_principal(request))
    return [
        SigningKeyView(id=each.key_id, created_at=each.created_at, current=each.signs).model_dump(mode="json")
        for each in found
    ]


def _status(report: EncryptionKeyReport) -> EncryptionKeyStatus:
    keys = [
        EncryptionKeyView(id=key.key_id, current=key.is_current, available=key.is_available, secrets=key.secrets)
        for key in report.keys
    ]
    return EncryptionKeyStatus(items=keys, unreadable=list(report.unreadable))
