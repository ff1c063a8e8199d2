"""The OpenAPI documents: one for each API, and one of everything."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI

from mailsettings import __version__

Document = dict[str, Any]


def document(app: FastAPI, token_path: str | None) -> Document:
    """The document of one API, saying how to get past its gate: by a token, had from *token_path*."""
    found: Document = {**app.openapi()}
    found["info"] = {**found["info"], "version": __version__}
    schemes: Document = {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
    if token_path is not None:
        schemes["password"] = {
            "type": "oauth2",
            "flows": {"password": {"tokenUrl": token_path, "scopes": {}}},
        }
    found["components"] = {**found.get("components", {}), "securitySchemes": schemes}
    found["security"] = [{name: []} for name in schemes]
    return found


def merged(documents: Iterable[Document]) -> Document:
    """One document of all of them; a component that two of them name has to be the same in both."""
    whole: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "mail-settings",
            "version": __version__,
            "description": "Outgoing-mail settings behind two REST APIs, and a test that they work.",
        },
        "paths": {},
        "components": {},
    }
    for part in documents:
        whole["paths"] |= part["paths"]
        whole["security"] = part["security"]
        for kind, components in part["components"].items():
            _merge(whole["components"].setdefault(kind, {}), components)
    return whole


def _merge(into: Document, components: Document) -> None:
    for name, component in components.items():
        if into.setdefault(name, component) != component:
            raise ValueError(f"two APIs mean different things by the component {name}")
