"""Create and change mail servers: by options, by a preset, or by a file."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mailsettings.cli.client import service
from mailsettings.cli.client.client import segment
from mailsettings.cli.output import print_item
from mailsettings.cli.secret_input import ask_secret, read_secret, with_secret
from mailsettings.cli.server.group import LOGINS, path_of, server
from mailsettings.cli.server.stored import LINES

SECURITIES = ("none", "starttls", "implicit-tls")
SECRETS = {"password": "password", "oauth2_client_credentials": "client_secret"}
"""The member that has the secret of each kind of login that has one."""
MAX_PORT = 65535
MAX_FILE_BYTES = 65536


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of a mail server."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return with_secret("the password or client secret", names=("password", "secret"))(command)


_OPTIONS: Sequence[Callable[[Callable[..., Any]], Callable[..., Any]]] = [
    click.option("--host", help="Host name or address of the mail server."),
    click.option("--port", type=click.IntRange(1, MAX_PORT), help="By default 587, or 465 for implicit-tls."),
    click.option("--security", type=click.Choice(SECURITIES), help="How the connection is encrypted."),
    click.option("--from", "--sender", "sender", metavar="ADDRESS", help="Address of the sender."),
    click.option("--from-name", "--sender-name", "sender_name", metavar="TEXT", help="Name of the sender."),
    click.option(
        "--login", type=click.Choice(list(LOGINS)), help="How to log in; --username and --oauth2-… imply it."
    ),
    click.option("--username", metavar="TEXT", help="User name, or the mailbox for OAuth2."),
    click.option(
        "--oauth2-tenant", "tenant", metavar="ID", help="Microsoft 365: directory (tenant) id or domain."
    ),
    click.option(
        "--oauth2-client-id", "application", metavar="ID", help="Microsoft 365: application (client) id."
    ),
    click.option("--certificate", metavar="FILE", help="Trust only the certificates in this PEM file."),
    click.option("--system-trust", is_flag=True, help="Trust the authorities of the system (the default)."),
    click.option("--description", metavar="TEXT", help="Any text."),
    click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label; repeatable."),
]


@server.command(
    epilog="Example: mailsettings server create relay --host mail.example.com --from reports@example.com "
    "--username reports"
)
@click.argument("name", required=False)
@click.option("--preset", metavar="NAME", help="Begin with the settings of a provider; see `preset list`.")
@click.option("--fill", "blanks", multiple=True, metavar="BLANK=VALUE", help="Fill a blank of the preset.")
@click.option(
    "--file", "source", metavar="FILE", help="Begin with a file of `server export`; - is standard input."
)
@click.option("--disabled", is_flag=True, help="Create it disabled.")
@with_settings
def create(
    name: str | None,
    preset: str | None,
    blanks: tuple[str, ...],
    source: str | None,
    *,
    disabled: bool,
    **given: Any,
) -> None:
    """Create a mail server and print it.

    Without a preset or a file, --host and --from are required; see `preset list` for well-known providers.
    A password comes from --password-file, --password-stdin or a prompt.
    """
    with service() as client:
        begin = read_document(source) if source else {}
        if preset:
            begin = merged(begin, _from_preset(client.get(f"/presets/{segment(preset)}"), pairs(blanks, "--fill")))
        begin = merged(begin, {"name": name} if name else {}, {"enabled": False} if disabled else {})
        kind = begin.get("authentication", {}).get("kind")
        body = merged(begin, _body(kind, given))
        _require(body, preset)
        _ask_for_secret(body)
        print_item(client.send("POST", "/mail-servers", body), LINES)


@server.command("set")
@click.argument("name")
@click.option("--rename", metavar="NAME", help="A new name.")
@click.option("--remove-label", "removed", multiple=True, metavar="KEY", help="Remove a label; repeatable.")
@click.option("--ask-password", is_flag=True, help="Ask for a new password or client secret.")
@with_settings
def set_(name: str, rename: str | None, removed: tuple[str, ...], *, ask_password: bool, **given: Any) -> None:
    """Change the given settings of the mail server NAME, and print it; all others stay.

    The stored password stays as long as host, port, encryption, certificate and login stay the same.
    """
    with service() as client:
        path = path_of(client, name, None)
        stored = client.get(path)["authentication"]["kind"]
        body = merged(_body(stored, given), {"name": rename} if rename else {})
        if removed:
            body = merged(body, {"labels": dict.fromkeys(removed)})
        if ask_password:
            body = merged(body, _secret(body, stored, ask_secret("the new secret", confirmed=False)))
        if not body:
            raise click.UsageError("Give at least one setting to change.")
        print_item(client.send("PATCH", path, body), LINES)


@server.command()
@click.argument("name")
@click.argument("change", required=False)
@click.option("--file", "source", metavar="FILE", help="Read the change from this file; - is standard input.")
def patch(name: str, change: str | None, source: str | None) -> None:
    """Change the mail server NAME by CHANGE, a JSON merge patch (RFC 7396) like '{"port": 465}', and print it."""
    if (change is None) is (source is None):
        raise click.UsageError("Give the change either as an argument or by --file.")
    body = parsed(change, "CHANGE") if change is not None else read_document(source or "")
    with service() as client:
        print_item(client.send("PATCH", path_of(client, name, None), body), LINES)


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts as one object; a later part has precedence, member by member."""
    result: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            both_objects = isinstance(value, dict) and isinstance(result.get(name), dict)
            result[name] = merged(result[name], value) if both_objects else value
    return result


def read_document(source: str) -> dict[str, Any]:
    """Return the object in a file of JSON or YAML. Raises `click.UsageError`."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise click.UsageError(f"Cannot read {source}: {reason}.") from None
    return parsed(text, source)


def parsed(text: str, where: str) -> dict[str, Any]:
    """Return the object that *text* is in JSON or YAML. Raises `click.UsageError`."""
    try:
        found = json.loads(text) if text.lstrip().startswith("{") else _yaml(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise click.UsageError(f"{where} must be one object in JSON or YAML.{_of_list(found)}")
    return found


def _of_list(found: object) -> str:
    return " It is a list: `server export NAME` prints one mail server." if isinstance(found, list) else ""


def pairs(given: tuple[str, ...], option: str) -> dict[str, str]:
    """Return the pairs KEY=VALUE of a repeatable option."""
    split = [each.partition("=") for each in given]
    if not all(key and equals for key, equals, _ in split):
        raise click.UsageError(f"{option} must be like KEY=VALUE.")
    return {key: value for key, _, value in split}


def _yaml(text: str) -> object:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise ValueError from None


def _body(stored_kind: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that the options name."""
    security = given["security"]
    members = {
        "host": given["host"],
        "port": given["port"],
        "security": security.replace("-", "_") if security else None,
        "sender": _without_none({"address": given["sender"], "name": given["sender_name"]}) or None,
        "trust": _trust(given["certificate"], system=given["system_trust"]),
        "description": given["description"],
        "labels": pairs(given["labels"], "--label") or None,
        "authentication": _login(stored_kind, given) or None,
    }
    return _without_none(members)


def _login(stored_kind: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    login = _without_none(
        {"username": given["username"], "tenant": given["tenant"], "client_id": given["application"]}
    )
    kind = LOGINS[given["login"]] if given["login"] else _implied_kind(stored_kind, login)
    secret = read_secret(given["secret_file"], secret_stdin=given["secret_stdin"])
    if kind is None:
        kind = "password" if login or secret is not None else None
    if kind is None:
        return {}
    changed = {"kind": kind} if kind != stored_kind or given["login"] else {}
    return {**changed, **login, **({SECRETS.get(kind, "password"): secret} if secret is not None else {})}


def _implied_kind(stored_kind: str | None, login: Mapping[str, Any]) -> str | None:
    if {"tenant", "client_id"} & set(login):
        return LOGINS["oauth2"]
    return None if stored_kind == "none" else stored_kind


def _secret(body: Mapping[str, Any], stored_kind: str, secret: str) -> dict[str, Any]:
    kind = body.get("authentication", {}).get("kind", stored_kind)
    return {"authentication": {SECRETS.get(kind, "password"): secret}}


def _ask_for_secret(body: dict[str, Any]) -> None:
    """Ask for the secret of a login that needs one and has none."""
    login = body.get("authentication", {})
    member = SECRETS.get(login.get("kind", "none"))
    if member is not None and not isinstance(login.get(member), str):
        what = "the client secret" if member == "client_secret" else "the password"
        option = "secret" if member == "client_secret" else "password"
        login[member] = ask_secret(what, confirmed=False, option=option)


def _trust(certificate: str | None, *, system: bool) -> dict[str, str] | None:
    if certificate and system:
        raise click.UsageError("Give either --certificate or --system-trust.")
    if system:
        return {"kind": "system"}
    if certificate is None:
        return None
    try:
        return {"kind": "certificates", "pem": Path(certificate).read_text(encoding="utf-8", errors="replace")}
    except OSError as error:
        raise click.UsageError(f"Cannot read {certificate}: {error.strerror}.") from None


def _require(body: Mapping[str, Any], preset: str | None) -> None:
    """Refuse a mail server without host or sender, before a prompt asks for its secret."""
    given = {"--host HOST": body.get("host"), "--from ADDRESS": body.get("sender", {}).get("address")}
    missing = [option for option, value in given.items() if not value]
    if missing:
        fill = f", or fill the blanks of the preset; see `mailsettings preset show {preset}`" if preset else ""
        raise click.UsageError(f"Give {' and '.join(missing)}{fill}.")


def _from_preset(preset: Mapping[str, Any], blanks: Mapping[str, str]) -> dict[str, Any]:
    """Return the mail server of a preset, without members that are still blank."""
    known = {blank["name"]: blank for blank in preset["blanks"]}
    for name in blanks:
        if name not in known or known[name]["secret"]:
            raise click.UsageError(
                f"{name} is no blank to fill by --fill; see `mailsettings preset show {preset['name']}`."
            )
    values = {name: blank["default"] for name, blank in known.items()} | dict(blanks)
    result = _filled(preset["mail_server"], {"{" + name + "}": value for name, value in values.items() if value})
    return result if isinstance(result, dict) else {}


def _filled(value: Any, blanks: Mapping[str, str]) -> Any:
    """Return *value* with filled blanks; members that still have a blank are left out."""
    if isinstance(value, dict):
        members = {name: _filled(member, blanks) for name, member in value.items()}
        return {name: member for name, member in members.items() if member not in (None, {})}
    if not isinstance(value, str):
        return value
    for blank, filling in blanks.items():
        value = value.replace(blank, filling)
    return None if "{" in value else value


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
