"""The steps of `steps.txt` with the Python client that openapi-generator generated."""

import os
from collections.abc import Callable

import pytest
from openapi_client import ApiClient, Configuration
from openapi_client.api import ConnectionTestsApi, LogInApi, MailServersApi
from openapi_client.exceptions import ApiException
from openapi_client.models import (
    ConnectionInput,
    DefaultChoice,
    LoginInput,
    MailServerPatch,
    MailServerReplacement,
    NewMailServer,
    NoLogin,
    OAuth2Login,
    OAuth2LoginInput,
    PasswordLogin,
    PasswordLoginInput,
    Problem,
    Security,
    SenderInput,
    SettingsTest,
    StoredTest,
    SystemTrusted,
)

base, port = os.environ["BASE_URL"], int(os.environ["SMTP_PORT"])
sender = SenderInput(address="reports@example.org", name="Reports")


def refused(step: str, call: Callable[[], object]) -> None:
    with pytest.raises(ApiException) as error:
        call()
    problem = error.value.data
    assert isinstance(problem, Problem)
    print(step, problem.status, problem.code, *(each.pointer for each in problem.errors or []))


token = LogInApi(ApiClient(Configuration(base))).get_token(
    grant_type="password", username="admin", password=os.environ["PASSWORD"]
)
print("log in:", token.token_type)
client = ApiClient(Configuration(base, access_token=token.access_token))
servers, tests = MailServersApi(client), ConnectionTestsApi(client)

relay = NewMailServer(name="relay", host="127.0.0.1", port=port, security=Security.NONE, sender=sender)
answer = servers.create_mail_server_with_http_info(relay)
made = answer.data
assert answer.headers
assert answer.headers["location"].endswith(f"/v1/mail-servers/{made.id}")
trust, login = made.trust.actual_instance, made.authentication.actual_instance
assert isinstance(trust, SystemTrusted)
assert isinstance(login, NoLogin)
print(f"create relay: version {made.version}, trust {trust.kind}, login {login.kind}")
by_password = PasswordLoginInput(kind="password", username="reports", password=os.environ["PASSWORD"])
mailbox = NewMailServer(
    name="mailbox", host="smtp.example.org", sender=sender, authentication=LoginInput(by_password)
)
made = servers.create_mail_server(mailbox)
shown = made.authentication.actual_instance
assert isinstance(shown, PasswordLogin)
print(
    f"create mailbox: security {made.security.value}, login {shown.kind} as {shown.username},",
    f"stored {shown.password.stored}".lower(),
)
application = OAuth2LoginInput(
    kind="oauth2_client_credentials",
    username="reports@example.org",
    tenant="example.org",
    client_id="5f0c0b5e",
    client_secret=os.environ["PASSWORD"],
)
tenant = NewMailServer(
    name="tenant", host="smtp.example.com", sender=sender, authentication=LoginInput(application)
)
by_token = servers.create_mail_server(tenant).authentication.actual_instance
assert isinstance(by_token, OAuth2Login)
print(
    f"create tenant: login {by_token.kind} of {by_token.tenant},",
    f"stored {by_token.client_secret.stored}".lower(),
)
refused("create relay again:", lambda: servers.create_mail_server(relay))
wrong = NewMailServer(host="bad host", sender=sender, labels={"no name": "berlin"})
refused("create with two wrong members:", lambda: servers.create_mail_server(wrong))

found = servers.get_mail_server_with_http_info("relay")
read = found.data
assert found.headers
tag = found.headers["etag"]
print("read relay:", read.host, read.sender.name, read.health.state.value)
patch = MailServerPatch(description="Office", labels={"site": "berlin"})
read = servers.update_mail_server("relay", patch, if_match=tag)
print(f"patch relay: version {read.version}, {read.description}, site {read.labels['site']}")
refused("patch relay of an old version:", lambda: servers.update_mail_server("relay", patch, if_match=tag))
kept = LoginInput(PasswordLoginInput(kind="password", username="reports"))
replacement = MailServerReplacement(host=mailbox.host, sender=sender, description="Shared", authentication=kept)
read = servers.replace_mail_server("mailbox", replacement)
shown = read.authentication.actual_instance
assert isinstance(shown, PasswordLogin)
print(
    f"replace mailbox without its secret: version {read.version},",
    f"stored {shown.password.stored}".lower(),
)
servers.set_default_mail_server(DefaultChoice(name="relay"))
print("choose the default:", servers.get_default_mail_server().name)

report = tests.test_mail_server("relay", stored_test=StoredTest(recipient="receiver@example.org"))
last = report.stages[-1]
print(f"test relay: {str(report.succeeded).lower()}, {last.stage.value} {last.outcome.value}")
closed = ConnectionInput(
    host="127.0.0.1", sender=sender, port=int(os.environ["CLOSED_PORT"]), security=Security.NONE
)
report = tests.test_settings(SettingsTest(settings=closed))
assert report.failure
code, stage = report.failure.code.value, report.failure.stage.value
print(f"test a closed port: {str(report.succeeded).lower()}, {code} at {stage}")

page = servers.list_mail_servers(limit=2)
print("list two:", *(each.name for each in page.items))
page = servers.list_mail_servers(limit=2, cursor=page.next_cursor)
print("list the next:", *(each.name for each in page.items))
assert page.next_cursor is None
print("list by label:", *(each.name for each in servers.list_mail_servers(label=["site=berlin"]).items))
newest, first = servers.list_mail_server_versions("relay").items
changes = " ".join(change.var_field for change in newest.changes or [])
print(f"versions of relay: {newest.version} {changes}, {first.version}")

refused("delete the default:", lambda: servers.delete_mail_server("relay"))
servers.clear_default_mail_server()
refused("clear the default:", servers.get_default_mail_server)
for name in ("relay", "mailbox", "tenant"):
    servers.delete_mail_server(name)
print(f"delete all: {len(servers.list_mail_servers().items)} left")
refused("read relay:", lambda: servers.get_mail_server("relay"))
