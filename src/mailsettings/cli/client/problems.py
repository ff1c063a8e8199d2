"""Say the refusal of a service in sentences: problem details (RFC 9457), or the answer of something else."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mailsettings.cli.command import REFUSED, UNREACHABLE, Failure
from mailsettings.cli.output import printable

PROBLEM = "application/problem+json"
ADVICE = {
    "mail_server_not_found": "`mailsettings server list` prints all.",
    "device_not_found": "`mailsettings device list` prints all.",
    "preset_not_found": "`mailsettings preset list` prints all.",
    "account_not_found": "`mailsettings account list` and `mailsettings client list` print all.",
    "signing_key_not_found": "`mailsettings key signing list` prints all.",
    "version_not_found": "`mailsettings server history NAME` prints all.",
    "permission_denied": "`mailsettings whoami` prints your permissions.",
    "not_authenticated": "Get a new token: it may have expired.",
    "secret_needed_again": "Give the secret with --password-file, --password-stdin or --ask-password.",
    "mail_server_disabled": "Run: mailsettings server enable NAME",
    "default_mail_server_in_use": "Run: mailsettings server default OTHER, or mailsettings server default --clear",
}
"""What to do about a problem, by its code: a sentence with commands, which the API does not know."""


def failure_of(status: int, headers: Mapping[str, str], content: bytes, cause: str | None = None) -> Failure:
    """Return the failure that an answer with an error status is: one sentence for each wrong field.

    *cause* is why the service failed, if the command knows it: the answer does not tell.
    """
    problem = _problem(headers, content)
    code = UNREACHABLE if status >= 500 or (status >= 300 and status < 400) or problem is None else REFUSED
    sentences = [_foreign(status, headers)] if problem is None else list(sentences_of(problem))
    # The detail of a 5xx says nothing about its cause, which is for the operator alone.
    if status >= 500 and cause:
        sentences = cause.split("\n")
    elif problem and status >= 500 and problem.get("request_id"):
        sentences.append(f"The log of the service explains it at request {problem['request_id']}.")
    if problem and (advice := ADVICE.get(str(problem.get("code")))):
        sentences[-1] += f" {advice}"
    if wait := headers.get("retry-after"):
        sentences.append(f"Try again in {wait} seconds.")
    return Failure("\n".join(map(printable, sentences)), code, problem.get("code") if problem else None)


def _problem(headers: Mapping[str, str], content: bytes) -> dict[str, Any] | None:
    if not headers.get("content-type", "").startswith(PROBLEM):
        return None
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def sentences_of(problem: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each wrong field; without one, what the problem is."""
    sent = problem.get("errors")
    errors = [error for error in sent if isinstance(error, dict)] if isinstance(sent, list) else []
    for error in errors:
        yield _with_place(_place(error), str(error.get("detail")))
    if not errors:
        yield str(problem.get("detail") or problem.get("title") or "The service refused without a reason.")


def _with_place(place: str, detail: str) -> str:
    """Return *detail* with the field in front, unless it begins with the field."""
    names = [part for part in place.split(".") if not part.isdecimal()]
    if not names:
        return detail
    if detail.startswith((f"{place} ", f"{'.'.join(names)} ")):
        return detail
    if detail.startswith(f"{names[-1]} "):
        return f"{place}{detail.removeprefix(names[-1])}"
    return f"{place}: {detail}"


def _place(error: Mapping[str, Any]) -> str:
    """Return the field as a path with dots: `/sender/address` is sender.address."""
    pointer = error.get("pointer")
    if pointer is None:
        return str(error.get("parameter") or "")
    parts = str(pointer).removeprefix("#").split("/")[1:]
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in parts)


def _foreign(status: int, headers: Mapping[str, str]) -> str:
    if 300 <= status < 400:
        return f"The service redirects (HTTP {status}), which is not followed: give its own address with --url."
    kind = headers.get("content-type", "").partition(";")[0] or "nothing"
    return (
        f"HTTP {status} with {kind}, which is not an answer of mail-settings. "
        "Check the address, and what is in front of the service."
    )
