"""Presets: what to enter and what to switch on for well-known providers, and where that is documented."""

from datetime import date
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field, WithJsonSchema

from mailsettings.dialects.v1.lists import whole_list
from mailsettings.dialects.v1.mail_servers.schemas import Security
from mailsettings.dialects.v1.operations import NO_QUERY, example, json_response, new_router, not_found
from mailsettings.domain.errors import PresetNotFound
from mailsettings.domain.mail_server import MAX_PORT, ConnectionSecurity
from mailsettings.domain.presets import PRESETS, LoginKind, Preset
from mailsettings.web.openapi import Int32

PATH = "/v1/presets"
TAG = "Presets"

router = new_router(TAG, behind_permission=False)


class PresetBlank(BaseModel):
    """A part of a preset that you fill in: `{name}` in the texts of `mail_server`."""

    name: str = Field(description="Name of the blank.")
    meaning: str = Field(description="What belongs there.")
    example: str | None = Field(description="An example; null for a secret.")
    default: str | None = Field(description="What serves most organisations, if anything does.")
    secret: bool = Field(description="Whether it is a secret.")


class PresetRefusal(BaseModel):
    """A reply that the provider often gives."""

    reply: str = Field(description="The reply, as far as it is always the same.")
    remedy: str = Field(description="What to do.")


class PresetSource(BaseModel):
    """A page with the facts."""

    url: Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})] = Field(description="The page.")
    read_on: date = Field(description="When it was read.")
    note: str | None = Field(description="What the page does not confirm.")


class PresetView(BaseModel):
    """How to send through one provider."""

    name: str = Field(description="Name of the preset.")
    title: str = Field(description="Name of the provider.")
    summary: str = Field(description="How mail is sent.")
    host: str = Field(description="Host; it may have blanks.")
    port: Annotated[int, WithJsonSchema({**Int32, "minimum": 1, "maximum": MAX_PORT})] = Field(description="Port.")
    security: Security = Field(description="Connection security.")
    login: LoginKind = Field(description="Kind of login.")
    blanks: list[PresetBlank] = Field(description="What you fill in.")
    steps: list[str] = Field(description="What an administrator does at the provider first, in this order.")
    refusals: list[PresetRefusal] = Field(description="Frequent replies.")
    sources: list[PresetSource] = Field(description="Where the facts come from.")
    mail_server: dict[str, Any] = Field(
        description="A body for `POST /v1/mail-servers`. Fill in each blank before you send it."
    )


class PresetList(BaseModel):
    """All presets."""

    items: list[PresetView] = Field(description="The presets.")
    next_cursor: str | None = Field(description="Always null: the list has one page.")


def view(preset: Preset) -> PresetView:
    """Return *preset* in the words of this API."""
    return PresetView(
        name=preset.name,
        title=preset.title,
        summary=preset.summary,
        host=preset.host,
        port=preset.port,
        security=_SECURITY[preset.security],
        login=preset.login,
        blanks=[
            PresetBlank(
                name=blank.name,
                meaning=blank.meaning,
                example=blank.example or None,
                default=blank.default,
                secret=blank.is_secret,
            )
            for blank in preset.blanks
        ],
        steps=list(preset.steps),
        refusals=[PresetRefusal(reply=each.reply, remedy=each.remedy) for each in preset.refusals],
        sources=[PresetSource(url=each.url, read_on=each.read_on, note=each.note) for each in preset.sources],
        mail_server=_body(preset),
    )


_SECURITY: dict[ConnectionSecurity, Security] = {
    ConnectionSecurity.NONE: "none",
    ConnectionSecurity.STARTTLS: "starttls",
    ConnectionSecurity.IMPLICIT_TLS: "implicit_tls",
}


def _body(preset: Preset) -> dict[str, object]:
    return {
        "name": preset.name,
        "host": preset.host,
        "port": preset.port,
        "security": _SECURITY[preset.security],
        "sender": {"address": "{sender}"},
        "authentication": {"kind": preset.login.value, **preset.fields},
    }


_EXAMPLE = view(PRESETS[0]).model_dump(mode="json")


@router.get(
    PATH,
    operation_id="list_presets",
    summary="List presets of providers",
    response_description="The presets.",
    response_model=PresetList,
    responses={200: example({"items": [_EXAMPLE], "next_cursor": None})},
    dependencies=[NO_QUERY],
)
async def list_presets(request: Request) -> Response:  # noqa: ARG001  # FastAPI passes it
    """Return the presets of the most used providers. Every valid access token is enough."""
    return whole_list(view(preset).model_dump(mode="json") for preset in PRESETS)


@router.get(
    f"{PATH}/{{preset}}",
    operation_id="get_preset",
    summary="Get the preset of a provider",
    response_description="The preset.",
    response_model=PresetView,
    responses={200: example(_EXAMPLE), **not_found("No preset has this name.")},
    dependencies=[NO_QUERY],
)
async def get_preset(
    preset: Annotated[str, Path(description="Name of the preset.", examples=["microsoft365"])],
) -> Response:
    """Return one preset, with the steps at the provider and a body for `POST /v1/mail-servers`."""
    found = next((each for each in PRESETS if each.name == preset), None)
    if found is None:
        raise PresetNotFound
    return json_response(view(found).model_dump(mode="json"))
