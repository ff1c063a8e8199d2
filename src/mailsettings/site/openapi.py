"""Build the OpenAPI documents: one for each API and a merged document, without any vendor's names here."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from mailsettings import __version__
from mailsettings.web.dialect import Dialect
from mailsettings.web.openapi import header_components, header_references, headers_by_status

Document = dict[str, Any]

_JSON = "application/json"
_LOGINS = "securitySchemes"
_TITLE = "mail-settings"
_DESCRIPTION = """\
An organisation's outgoing-mail settings behind two REST APIs, and a test that they work.

To try a call, press **Authorize** and log in with an account of this service, such as `admin` with the \
password that the first start printed. The client id and the client secret stay empty, unless this service \
has a client secret in its settings.
"""
_LICENCE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}


def document(api: Dialect, app: FastAPI, token_path: str | None, public_url: str | None = None) -> Document:
    """Return the document of *api*, which *app* serves.

    *token_path* is the token endpoint. *public_url* is the address of the service, by default the address of the
    document.
    """
    found: Document = _readable(app.openapi())
    _restore_examples(found, [route for router in api.routers for route in router.routes])
    found["info"] |= {"version": __version__, "license": _LICENCE}
    found["servers"] = _servers(public_url)
    schemes = _security_schemes(token_path, (public_url or "").rstrip("/"))
    components = found.setdefault("components", {})
    components[_LOGINS] = schemes
    found["security"] = [{name: []} for name in schemes]
    for path, item in found["paths"].items():
        for operation in item.values():
            _add_headers(operation, api.request_id_header)
            _set_error_media_type(operation, api.errors.at(path).media_type.partition(";")[0])
    components["headers"] = _used(header_components(api.request_id_header), found)
    found["tags"] = _tags(found, api.tags)
    return found


def merged(documents: Iterable[Document]) -> Document:
    """Return one document of all *documents*; components of the same name must be equal.

    It has the login of the first: the documentation page (Swagger UI) offers one token endpoint for all APIs.
    Generators turn `getServer` and `get_server` into one name, so the second gets the API in its name.
    """
    parts = list(documents)
    names = {operation["operationId"].lower() for part in parts for operation in _operations(part)}
    whole: Document = {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": __version__, "description": _DESCRIPTION, "license": _LICENCE},
        "paths": {},
        "components": {},
    }
    described: dict[str, str] = {}
    for part in parts:
        whole["paths"] |= {path: _renamed(path, item, names) for path, item in part["paths"].items()}
        whole |= {key: part[key] for key in ("servers", "security")}
        described |= {tag["name"]: tag["description"] for tag in part["tags"]}
        whole["components"].setdefault(_LOGINS, part["components"][_LOGINS])
        for kind, components in part["components"].items():
            if kind != _LOGINS:
                _merge(whole["components"].setdefault(kind, {}), components)
    whole["tags"] = _tags(whole, described)
    return whole


def _renamed(path: str, item: Document, names: Collection[str]) -> Document:
    """Return *item* with other operation ids where an id without its underscores is among the *names*."""
    return {
        method: {**operation, "operationId": f"{path.split('/')[1]}_{operation['operationId']}"}
        if "_" in operation["operationId"] and operation["operationId"].replace("_", "") in names
        else operation
        for method, operation in item.items()
    }


def _servers(public_url: str | None) -> list[Document]:
    if public_url is None:
        return [{"url": "/", "description": "The host of this document"}]
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
    """Add the headers that are the same in all operations: the request's id and the headers of a status."""
    ids = [name for name in (request_id_header, "X-Request-ID") if name]
    parameters = {parameter["name"] for parameter in operation.get("parameters", ())}
    behind_token = operation.get("security") != []
    for status, response in operation["responses"].items():
        found = headers_by_status(status, parameters, behind_token=behind_token)
        response["headers"] = {**response.get("headers", {}), **found, **header_references(*ids)["headers"]}


def _restore_examples(found: Document, routes: Iterable[BaseRoute]) -> None:
    """Put the examples of responses back as their routes declare them: FastAPI drops members that are null."""
    for route in routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                responses = found["paths"][route.path_format][method.lower()]["responses"]
                for status, declared in route.responses.items():
                    for media_type, content in declared.get("content", {}).items():
                        if "example" in content:
                            responses[str(status)]["content"][media_type]["example"] = content["example"]


def _set_error_media_type(operation: Document, media_type: str) -> None:
    """Document errors under the media type of their API: FastAPI knows only that of successful responses."""
    for status, response in operation["responses"].items():
        if not status.startswith(("2", "3")) and "content" in response:
            response["content"] = {media_type: response["content"][_JSON]}


def _used(definitions: Mapping[str, Any], found: Document) -> Document:
    """Return the *definitions* that an operation refers to."""
    names = {
        name
        for operation in _operations(found)
        for response in operation["responses"].values()
        for name, header in response["headers"].items()
        if "$ref" in header
    }
    return {name: definition for name, definition in definitions.items() if name in names}


def _tags(of: Document, described: Mapping[str, str]) -> list[Document]:
    """Return the headings of the documentation page: operations without a token, such as the login, come first."""
    operations = sorted(_operations(of), key=lambda operation: operation.get("security") != [])
    names = dict.fromkeys(tag for operation in operations for tag in operation.get("tags", []))
    return [{"name": name, "description": described[name]} for name in names]


def _merge(into: Document, components: Document) -> None:
    for name, component in components.items():
        if into.setdefault(name, component) != component:
            raise ValueError(f"two APIs define the component {name} differently")


def _readable(node: Any) -> Any:
    """Return a copy of FastAPI's document that is easy to read and to compare.

    Bounds of whole numbers are whole (FastAPI writes 65535.0), `default` is the last response, and members lose
    the title that pydantic derives from their names ("Encryptiontype").
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
        case "schema", {"$ref": reference}:
            # The description is that of the parameter; generators give a reference with one next to it no type.
            return {"$ref": reference}
        case "schema", dict():
            return _readable(_untitled(value))
        case "example" | "examples", _:
            return value
        case _:
            return _readable(value)


def _untitled(schema: Mapping[str, Any]) -> Document:
    return {key: value for key, value in schema.items() if key != "title"}
