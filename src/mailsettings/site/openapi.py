"""The OpenAPI documents: one for each API, and one of everything. Knows no vendor's names."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI

from mailsettings import __version__
from mailsettings.web.dialect import Dialect
from mailsettings.web.openapi import header_components, header_references, headers_by_status

Document = dict[str, Any]

_TITLE = "mail-settings"
_DESCRIPTION = """\
An organisation's outgoing-mail settings behind two REST APIs, and a test that they work.

To try a call, press **Authorize** and log in with an account of this service, such as `admin`, whose \
password the first start printed; the client id and the client secret may stay empty unless this service \
was given a secret to ask for.
"""
_LICENCE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}


def document(api: Dialect, app: FastAPI, token_path: str | None, public_url: str | None = None) -> Document:
    """Return the document of *api*, which *app* serves.

    Access tokens come from *token_path*. Callers reach the service at *public_url*, by default where the document
    is.
    """
    found: Document = _readable(app.openapi())
    found["info"] |= {"version": __version__, "license": _LICENCE}
    found["servers"] = _servers(public_url)
    schemes = _security_schemes(token_path, (public_url or "").rstrip("/"))
    components = found.setdefault("components", {})
    components["securitySchemes"] = schemes
    found["security"] = [{name: []} for name in schemes]
    for operation in _operations(found):
        _add_headers(operation, api.request_id_header)
    components["headers"] = _used(header_components(api.request_id_header), found)
    found["tags"] = _tags(found, api.tags)
    return found


def merged(documents: Iterable[Document]) -> Document:
    """One document of all of them; a component that two of them name has to be the same in both."""
    whole: Document = {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": __version__, "description": _DESCRIPTION, "license": _LICENCE},
        "paths": {},
        "components": {},
    }
    described: dict[str, str] = {}
    for part in documents:
        whole["paths"] |= part["paths"]
        whole |= {key: part[key] for key in ("servers", "security")}
        described |= {tag["name"]: tag["description"] for tag in part["tags"]}
        for kind, components in part["components"].items():
            _merge(whole["components"].setdefault(kind, {}), components)
    whole["tags"] = _tags(whole, described)
    return whole


def _servers(public_url: str | None) -> list[Document]:
    if public_url is None:
        return [{"url": "/", "description": "The host that this document came from"}]
    return [{"url": public_url.rstrip("/"), "description": "This service"}]


def _security_schemes(token_path: str | None, base: str) -> Document:
    schemes: Document = {}
    if token_path is not None:
        schemes["account"] = {
            "type": "oauth2",
            "description": "Log in with the user name and the password of an account of this service.",
            "flows": {"password": {"tokenUrl": f"{base}{token_path}", "scopes": {}}},
        }
    schemes["token"] = {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Or paste an access token, such as `mailsettings token` prints.",
    }
    return schemes


def _operations(of: Document) -> Iterator[Document]:
    return (operation for path in of["paths"].values() for operation in path.values())


def _add_headers(operation: Document, request_id_header: str | None) -> None:
    """Add the headers that depend on no operation: the request's id, and what goes with a status."""
    ids = [name for name in (request_id_header, "X-Request-ID") if name]
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    behind_token = operation.get("security") != []
    for status, response in operation["responses"].items():
        found = headers_by_status(status, parameters, behind_token=behind_token)
        response["headers"] = {**response.get("headers", {}), **found, **header_references(*ids)["headers"]}


def _used(definitions: Mapping[str, Any], found: Document) -> Document:
    """Return those of *definitions* that an operation refers to by their own name."""
    names = {
        name
        for operation in _operations(found)
        for response in operation["responses"].values()
        for name, header in response["headers"].items()
        if "$ref" in header
    }
    return {name: definition for name, definition in definitions.items() if name in names}


def _tags(of: Document, described: Mapping[str, str]) -> list[Document]:
    """The headings of the documentation page: what needs no token comes first, the log-in."""
    operations = sorted(_operations(of), key=lambda operation: operation.get("security") != [])
    names = dict.fromkeys(tag for operation in operations for tag in operation.get("tags", []))
    return [{"name": name, "description": described[name]} for name in names]


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
