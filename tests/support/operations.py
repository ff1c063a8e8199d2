"""The operations of every API that exists, as its routes declare them; no test lists them a second time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from mailsettings.bootstrap.use_cases import APIS
from mailsettings.dialects import DIALECTS
from mailsettings.dialects.v1 import V1
from mailsettings.domain.access import AccountKind, Permission
from mailsettings.web.dialect import Dialect

Json = Mapping[str, Any]
_FORM = "application/x-www-form-urlencoded"
_FIRST_ID = "1"  # of the one mail server that tests store; of an account, a client and a signing key, too
STORED_NAMES = {AccountKind.USER: _FIRST_ID, AccountKind.CLIENT: "2"}
"""The names of the accounts in paths; `support.named` stores them. People and machines share their names."""
_PRESET = "microsoft365"


OWN_ACCOUNT = ("set_own_password", "end_own_sessions")
"""Operations on the account of the caller."""


@dataclass(frozen=True)
class Operation:
    """One operation; `path` names the first mail server, `body` is the first example of a body.

    `is_open`: it needs no access token. Without a `permission`, every valid token is enough.
    """

    id: str
    dialect: Dialect
    method: str
    path: str
    permission: Permission | None
    statuses: frozenset[str]
    headers: frozenset[str]
    body: Any = None
    takes_form: bool = False
    is_open: bool = False

    @property
    def token(self) -> str | None:
        """The token with which it succeeds; see `support.fakes`."""
        if self.is_open:
            return None
        return "admin-account" if self.id in OWN_ACCOUNT else "admin"

    @property
    def success(self) -> str:
        """The status of an answer that is no refusal."""
        return next(status for status in sorted(self.statuses) if status.startswith("2"))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations_of(dialect: Dialect) -> Sequence[Operation]:
    """All of them, from the routes and what they say to OpenAPI."""
    routes = [route for router in dialect.routers for route in router.routes if isinstance(route, APIRoute)]
    paths = get_openapi(title=dialect.title, version="0", routes=routes)["paths"]
    return [
        _operation(dialect, route, method, paths[route.path_format][method.lower()])
        for route in routes
        for method in route.methods or ()
    ]


def _operation(dialect: Dialect, route: APIRoute, method: str, document: Json) -> Operation:
    parameters = document.get("parameters", [])
    content = document.get("requestBody", {}).get("content", {})
    json = next((found for kind, found in content.items() if kind.endswith("json")), None)
    path = route.path_format
    for parameter in parameters:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", _value_of(parameter["name"], path))
    return Operation(
        id=document["operationId"],
        dialect=dialect,
        method=method,
        path=path,
        permission=getattr(route.endpoint, "permission", None),
        statuses=frozenset(document["responses"]),
        headers=frozenset(parameter["name"] for parameter in parameters if parameter["in"] == "header"),
        body=None if json is None else _example(json),
        takes_form=_FORM in content,
        is_open=document.get("security") == [],
    )


def _value_of(parameter: str, path: str) -> str:
    """Return the value of a parameter in *path* that names something existing."""
    if parameter == "preset":
        return _PRESET
    return STORED_NAMES[AccountKind.CLIENT] if path.startswith("/v1/clients/") else _FIRST_ID


def _example(content: Json) -> Any:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named[0] if named else content["example"]


VENDORS = [dialect for dialect in DIALECTS if dialect is not V1]
"""The dialects with words of a vendor; those of `/v1` are the words of the whole project."""
OPERATIONS: Sequence[Operation] = [operation for dialect in DIALECTS for operation in operations_of(dialect)]
"""Those of the vendors' APIs, and of `/v1`."""
ALL_OPERATIONS: Sequence[Operation] = [operation for dialect in APIS for operation in operations_of(dialect)]
"""Those and the others of this service."""


def reading(dialect: Dialect) -> Operation:
    """The first operation of *dialect* that reads from the database and needs a token."""
    return next(
        each
        for each in ALL_OPERATIONS
        if each.dialect is dialect and each.method == "GET" and each.permission is not None
    )
