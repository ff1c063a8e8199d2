"""The steps of `steps.txt` with the client that openapi-python-client generated."""

import os

from generated import AuthenticatedClient, Client
from generated.api.connection_tests import test_mail_server, test_settings
from generated.api.log_in import get_token
from generated.api.mail_servers import (
    clear_default_mail_server,
    create_mail_server,
    delete_mail_server,
    get_default_mail_server,
    get_mail_server,
    list_mail_server_versions,
    list_mail_servers,
    replace_mail_server,
    set_default_mail_server,
    update_mail_server,
)
from generated.models import (
    AccessToken,
    ConnectionInput,
    ConnectionReport,
    DefaultChoice,
    LoginForm,
    LoginFormGrantType,
    MailServerPage,
    MailServerPatch,
    MailServerPatchLabels,
    MailServerReplacement,
    MailServerVersionPage,
    MailServerView,
    NewMailServer,
    NewMailServerLabels,
    NoLogin,
    OAuth2Login,
    OAuth2LoginInput,
    OAuth2LoginInputKind,
    PasswordLogin,
    PasswordLoginInput,
    PasswordLoginInputKind,
    Problem,
    Security,
    SenderInput,
    SettingsTest,
    StoredTest,
    SystemTrusted,
)
from generated.types import Response, Unset

base, port = os.environ["BASE_URL"], int(os.environ["SMTP_PORT"])
sender, receiver = SenderInput("reports@example.org", "Reports"), "receiver@example.org"


def refused(step: str, answer: Response[MailServerView | Problem]) -> None:
    problem = answer.parsed
    assert isinstance(problem, Problem)
    errors = [] if isinstance(problem.errors, Unset) else problem.errors
    print(step, problem.status, problem.code, *(error.pointer for error in errors))


def shown(answer: Response[MailServerView | Problem], status: int = 200) -> MailServerView:
    assert answer.status_code == status
    assert isinstance(answer.parsed, MailServerView)
    return answer.parsed


form = LoginForm(LoginFormGrantType.PASSWORD, username="admin", password=os.environ["PASSWORD"])
token = get_token.sync(client=Client(base_url=base), body=form)
assert isinstance(token, AccessToken)
print("log in:", token.token_type.value if token.token_type else "")
client = AuthenticatedClient(base_url=base, token=token.access_token, raise_on_unexpected_status=True)

relay = NewMailServer("127.0.0.1", sender, name="relay", port=port, security=Security.NONE)
answer = create_mail_server.sync_detailed(client=client, body=relay)
made = shown(answer, 201)
assert answer.headers["Location"].endswith(f"/v1/mail-servers/{made.id}")
assert isinstance(made.trust, SystemTrusted)
assert isinstance(made.authentication, NoLogin)
print(
    f"create relay: version {made.version}, trust {made.trust.kind.value}, login {made.authentication.kind.value}"
)
login = PasswordLoginInput(
    kind=PasswordLoginInputKind.PASSWORD, username="reports", password=os.environ["PASSWORD"]
)
mailbox = NewMailServer("smtp.example.org", sender, name="mailbox", authentication=login)
made = shown(create_mail_server.sync_detailed(client=client, body=mailbox), 201)
by_password = made.authentication
assert isinstance(by_password, PasswordLogin)
print(
    f"create mailbox: security {made.security.value}, login {by_password.kind.value} as {by_password.username},",
    f"stored {by_password.password.stored}".lower(),
)
application = OAuth2LoginInput(
    kind=OAuth2LoginInputKind.OAUTH2_CLIENT_CREDENTIALS,
    username="reports@example.org",
    tenant="example.org",
    client_id="5f0c0b5e",
    client_secret=os.environ["PASSWORD"],
)
tenant = NewMailServer("smtp.example.com", sender, name="tenant", authentication=application)
by_token = shown(create_mail_server.sync_detailed(client=client, body=tenant), 201).authentication
assert isinstance(by_token, OAuth2Login)
print(
    f"create tenant: login {by_token.kind.value} of {by_token.tenant},",
    f"stored {by_token.client_secret.stored}".lower(),
)
refused("create relay again:", create_mail_server.sync_detailed(client=client, body=relay))
unnamed = NewMailServerLabels.from_dict({"no name": "berlin"})
wrong = NewMailServer("bad host", sender, labels=unnamed)
refused("create with two wrong members:", create_mail_server.sync_detailed(client=client, body=wrong))

answer = get_mail_server.sync_detailed("relay", client=client)
read, tag = shown(answer), answer.headers["ETag"]
print("read relay:", read.host, read.sender.name, read.health.state.value)
labels = MailServerPatchLabels.from_dict({"site": "berlin"})
patch = MailServerPatch(description="Office", labels=labels)
read = shown(update_mail_server.sync_detailed("relay", client=client, body=patch, if_match=tag))
print(f"patch relay: version {read.version}, {read.description}, site {read.labels['site']}")
refused(
    "patch relay of an old version:",
    update_mail_server.sync_detailed("relay", client=client, body=patch, if_match=tag),
)
login = PasswordLoginInput(kind=PasswordLoginInputKind.PASSWORD, username="reports")
replacement = MailServerReplacement(mailbox.host, sender, description="Shared", authentication=login)
replaced = shown(replace_mail_server.sync_detailed("mailbox", client=client, body=replacement))
assert isinstance(replaced.authentication, PasswordLogin)
print(
    f"replace mailbox without its secret: version {replaced.version},",
    f"stored {replaced.authentication.password.stored}".lower(),
)
shown(set_default_mail_server.sync_detailed(client=client, body=DefaultChoice(name="relay")))
print("choose the default:", shown(get_default_mail_server.sync_detailed(client=client)).name)

report = test_mail_server.sync("relay", client=client, body=StoredTest(receiver))
assert isinstance(report, ConnectionReport)
last = report.stages[-1]
print(f"test relay: {str(report.succeeded).lower()}, {last.stage.value} {last.outcome.value}")
closed = ConnectionInput("127.0.0.1", sender, port=int(os.environ["CLOSED_PORT"]), security=Security.NONE)
report = test_settings.sync(client=client, body=SettingsTest(closed))
assert isinstance(report, ConnectionReport)
assert not isinstance(report.failure, Unset)
print(
    f"test a closed port: {str(report.succeeded).lower()},", report.failure.code.value, "at", report.failure.stage
)

page = list_mail_servers.sync(client=client, limit=2)
assert isinstance(page, MailServerPage)
print("list two:", *(each.name for each in page.items))
assert page.next_cursor
page = list_mail_servers.sync(client=client, limit=2, cursor=page.next_cursor)
assert isinstance(page, MailServerPage)
print("list the next:", *(each.name for each in page.items))
assert page.next_cursor is None
page = list_mail_servers.sync(client=client, label=["site=berlin"])
assert isinstance(page, MailServerPage)
print("list by label:", *(each.name for each in page.items))
versions = list_mail_server_versions.sync("relay", client=client)
assert isinstance(versions, MailServerVersionPage)
newest, first = versions.items
changes = " ".join(change.field for change in newest.changes or [])
print(f"versions of relay: {newest.version} {changes}, {first.version}")

problem = delete_mail_server.sync_detailed("relay", client=client).parsed
assert isinstance(problem, Problem)
print("delete the default:", problem.status, problem.code)
assert clear_default_mail_server.sync_detailed(client=client).status_code == 204
refused("clear the default:", get_default_mail_server.sync_detailed(client=client))
for name in ("relay", "mailbox", "tenant"):
    assert delete_mail_server.sync_detailed(name, client=client).status_code == 204
page = list_mail_servers.sync(client=client)
assert isinstance(page, MailServerPage)
print(f"delete all: {len(page.items)} left")
refused("read relay:", get_mail_server.sync_detailed("relay", client=client))
