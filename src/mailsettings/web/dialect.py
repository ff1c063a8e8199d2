"""What a vendor's API is to the rest of the service: a folder that offers one `Dialect`."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastapi import APIRouter, FastAPI, Request
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from mailsettings.domain.access import Grants, Principal
from mailsettings.domain.listening import SubmissionAddress
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.audit_log import ReadAuditLog
from mailsettings.use_cases.connection_tests import RunConnectionTests
from mailsettings.use_cases.devices.management import ManageDevices
from mailsettings.use_cases.devices.testing import RunDeviceTests
from mailsettings.use_cases.history import MailServerHistory
from mailsettings.use_cases.keys import ManageEncryptionKeys, ManageSigningKeys
from mailsettings.use_cases.login import Authenticator, LogIn
from mailsettings.use_cases.mail_servers import ManageMailServers
from mailsettings.use_cases.metrics import ReadMetrics
from mailsettings.use_cases.monitoring.status import MonitoringStatus
from mailsettings.use_cases.own_account import OwnAccount
from mailsettings.use_cases.relay.messages import ReadMessages
from mailsettings.use_cases.service import DescribeService
from mailsettings.use_cases.several_tests import RunSeveralTests
from mailsettings.web.auth import BearerAuthMiddleware, FixedCallerMiddleware
from mailsettings.web.concurrency import ConcurrentRequests
from mailsettings.web.errors import ErrorStyle
from mailsettings.web.hosts import HostMiddleware


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases and the settings that every API needs.

    `grants` are the names of permissions of all APIs, with what they allow. `json_web_keys` verify the access
    tokens of this service (RFC 7517), and `issuer` is the claim `iss` in them.
    `client_secret` is required of OAuth2 clients at the login of users; None accepts any. `submission` are the
    addresses that devices send to. `allowed_hosts` are the names of this service; an empty collection allows any.
    """

    mail_servers: ManageMailServers
    history: MailServerHistory
    probes: RunConnectionTests
    several_tests: RunSeveralTests
    log_in: LogIn
    authentication: Authenticator
    audit_log: ReadAuditLog
    metrics: ReadMetrics
    monitoring_status: MonitoringStatus
    accounts: ManageAccounts
    own_account: OwnAccount
    encryption_keys: ManageEncryptionKeys
    signing_keys: ManageSigningKeys
    service: DescribeService
    devices: ManageDevices
    device_tests: RunDeviceTests
    messages: ReadMessages
    grants: Grants
    json_web_keys: Callable[[], Awaitable[Mapping[str, object]]]
    issuer: str
    public_url: str | None = None
    client_secret: str | None = None
    submission: Sequence[SubmissionAddress] = ()
    allowed_hosts: Collection[str] = ()
    concurrent_requests: ConcurrentRequests = field(default_factory=ConcurrentRequests)


NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""Turns off FastAPI's own telemetry: it costs time in each request, and its logs contain rejected input."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's API.

    `match_path` returns a request's path in the spelling of this API's routes, or None for paths of other APIs.
    `grants` are the vendor's names for permissions, and `token_claims` the claims that its clients decode.
    `token_path` is the token endpoint, if this API has one. It needs no access token, nor do `public_paths`.
    `request_id_header` is the vendor's name for the id of a request, in addition to X-Request-ID.
    `host_exempt_path` accepts any Host header. `single_server_name` is the command line's name of an API that has
    only the default mail server. `tags` describe the groups of operations in the documents.
    """

    name: str
    title: str
    description: str
    routers: Sequence[APIRouter]
    errors: ErrorStyle
    match_path: Callable[[str], str | None]
    grants: Grants
    tags: Mapping[str, str]
    token_claims: Callable[[Iterable[str]], Mapping[str, object]] = lambda _grants: {}
    token_path: str | None = None
    public_paths: Collection[str] = ()
    host_exempt_path: str | None = None
    request_id_header: str | None = None
    single_server_name: str | None = None

    def build(
        self,
        use_cases: UseCases,
        telemetry: TelemetryConfig = NO_TELEMETRY,
        caller: Principal | None = None,
    ) -> FastAPI:
        """Return this API as a separate application, so that all its responses have its own error shape.

        With *caller* all requests are that principal's, and need neither a token nor an allowed Host header: for a
        program that calls the application in its own process.
        """
        errors = replace(self.errors, grants=self.grants, other_grants=use_cases.grants)
        app = FastAPI(
            title=self.title,
            description=self.description,
            openapi_url=None,  # the site serves the documents
            middleware=self._middleware(use_cases, errors, caller),
            redirect_slashes=False,  # on a redirect many clients drop the body or the token
            telemetry=telemetry,
        )
        app.state.use_cases = use_cases
        # Added directly: the routes of FastAPI's include_router are looked up again for every request.
        for router in self.routers:
            app.router.routes.extend(router.routes)
        # Paths without parameters, which take precedence over templates (OpenAPI 3.1, 4.8.8).
        paths = (route.path for route in app.routes if isinstance(route, Route))
        app.state.concrete_paths = {path for path in paths if "{" not in path}
        errors.install(app)
        return app

    def _middleware(self, use_cases: UseCases, errors: ErrorStyle, caller: Principal | None) -> list[Middleware]:
        if caller is not None:
            return [Middleware(FixedCallerMiddleware, caller)]
        public_paths = {*self.public_paths, *([self.token_path] if self.token_path else [])}

        def refuse(scope: Scope, error: Exception) -> Response:
            return errors.at(scope["path"]).response(error, scope.get("request_id"))

        authentication, concurrent = use_cases.authentication, use_cases.concurrent_requests
        return [
            Middleware(HostMiddleware, use_cases.allowed_hosts, refuse, self.host_exempt_path, self.token_path),
            Middleware(BearerAuthMiddleware, authentication, public_paths, refuse, concurrent),
        ]


def use_cases(request: Request) -> UseCases:
    """Return the use cases of the API that received *request*."""
    found: UseCases = request.app.state.use_cases
    return found
