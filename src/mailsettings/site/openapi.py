"""The OpenAPI documents: one for each API, and one of everything. Knows no vendor's names."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI

from mailsettings import __version__

Document = dict[str, Any]

_TITLE = "mail-settings"
_DESCRIPTION = """\
An organisation's outgoing-mail settings behind two REST APIs, and a test that they work.

To try a call, press **Authorize** and log in with an account of this service, such as `admin`, whose \
password the first start printed; the client id and the client secret may stay empty unless this service \
was given a secret to ask for.
"""


def document(app: FastAPI, token_path: str | None) -> Document:
    """The document of one API, saying how to get past its gate: by a token, had from *token_path*."""
    found: Document = _readable(app.openapi())
    found["info"]["version"] = __version__
    schemes = _security_schemes(token_path)
    found.setdefault("components", {})["securitySchemes"] = schemes
    found["security"] = [{name: []} for name in schemes]
    found["tags"] = [{"name": name} for name in _tags(found)]
    return found


def merged(documents: Iterable[Document]) -> Document:
    """One document of all of them; a component that two of them name has to be the same in both."""
    whole: Document = {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": __version__, "description": _DESCRIPTION},
        "paths": {},
        "components": {},
    }
    for part in documents:
        whole["paths"] |= part["paths"]
        whole["security"] = part["security"]
        for kind, components in part["components"].items():
            _merge(whole["components"].setdefault(kind, {}), components)
    whole["tags"] = [{"name": name} for name in _tags(whole)]
    return whole


def _security_schemes(token_path: str | None) -> Document:
    schemes: Document = {}
    if token_path is not None:
        schemes["account"] = {
            "type": "oauth2",
            "description": "Log in with the user name and the password of an account of this service.",
            "flows": {"password": {"tokenUrl": token_path, "scopes": {}}},
        }
    schemes["token"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Or paste an access token, such as `mailsettings token` prints.",
    }
    return schemes


def _tags(of: Document) -> list[str]:
    """The headings of the documentation page: what needs no token comes first, the log-in."""
    operations = [operation for path in of["paths"].values() for operation in path.values()]
    operations.sort(key=lambda operation: operation.get("security") != [])
    return list(dict.fromkeys(tag for operation in operations for tag in operation.get("tags", [])))


def _merge(into: Document, components: Document) -> None:
    for name, component in components.items():
        if into.setdefault(name, component) != component:
            raise ValueError(f"two APIs mean different things by the component {name}")


def _readable(node: Any) -> Any:
    """A copy of FastAPI's document that people and diffs can read.

    Bounds of whole numbers are whole (FastAPI makes them 65535.0), `default` is the last response, and no
    member has the title that pydantic derives from its name ("Encryptiontype").
    """
    match node:
        case dict():
            return {key: _member(key, value) for key, value in node.items()}
        case list():
            return [_readable(item) for item in node]
        case float() if node.is_integer():
            return int(node)
        case _:
            return node


def _member(key: str, value: Any) -> Any:
    match key, value:
        case "responses", dict():
            ordered = sorted(value.items(), key=lambda item: item[0].rjust(len("default")))
            return {status: _readable(response) for status, response in ordered}
        case "properties", dict():
            return {name: _readable(_untitled(schema)) for name, schema in value.items()}
        case "schema", dict():
            return _readable(_untitled(value))
        case "example" | "examples", _:
            return value
        case _:
            return _readable(value)


def _untitled(schema: Mapping[str, Any]) -> Document:
    return {key: value for key, value in schema.items() if key != "title"}
