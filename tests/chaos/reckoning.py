"""The end of a run: all that is stored, and all that the audit log says, against what clients were told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from chaos.ledger import Ledger, duplicated, stray
from support.service import SMTP_SETTINGS


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What is wrong, and how much was looked at."""

    acknowledged: int
    stored: int
    lost: Sequence[str]
    duplicated: Sequence[str]
    stray: Sequence[str]
    untold: Sequence[str]


async def reckon(http: httpx.AsyncClient, url: str, ledgers: Sequence[Ledger]) -> Reckoning:
    """Ask the server at *url* for all there is."""
    listed = (await http.get(url + SMTP_SETTINGS)).raise_for_status().json()
    stored = {server["id"]: server["host"] for server in listed}
    complaints = [complaint for ledger in ledgers for complaint in ledger.complaints]
    return Reckoning(
        acknowledged=sum(ledger.acknowledged for ledger in ledgers),
        stored=len(stored),
        lost=[*complaints, *(found for ledger in ledgers for found in ledger.lost(stored))],
        duplicated=duplicated(stored),
        stray=stray(stored, ledgers),
        untold=_untold(stored, await _audit_log(http, url)),
    )


def _untold(stored: Mapping[int, str], entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where the audit log and what is stored contradict each other."""
    there: dict[str, str] = {}
    for entry in entries:
        if entry["outcome"] != "done":
            continue
        match entry["action"]:
            case "mail-server.create" | "mail-server.replace" if "host" in entry["details"]:
                there[entry["target"]] = entry["details"]["host"]["after"]
            case "mail-server.delete":
                del there[entry["target"]]
    expected = {f"mail-server:{server_id}": host for server_id, host in stored.items()}
    gaps = [] if [entry["sequence"] for entry in entries] == list(range(1, len(entries) + 1)) else ["a gap"]
    return [*gaps, *(f"audit log: {one}" for one in expected.items() ^ there.items())]


async def _audit_log(http: httpx.AsyncClient, url: str) -> list[Mapping[str, Any]]:
    entries: list[Mapping[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = (await http.get(f"{url}/audit", params={"after": after, "limit": 1000})).raise_for_status().json()
        entries += page["entries"]
        after = page["next_after"]
    return entries
