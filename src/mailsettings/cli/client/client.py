"""What commands send to the API and get from it, however it is reached."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from mailsettings.cli.client.events import Event, read_events
from mailsettings.cli.client.problems import failure_of
from mailsettings.cli.command import UNREACHABLE, Failure

Query = Mapping[str, object]
"""Parameters by name; None leaves one out, and a list repeats it."""
EVENT_STREAM = "text/event-stream"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, and its body as it comes."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """The media type without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Client(ABC):
    """Sends requests to `/v1`. Every method raises `Failure` if the service cannot be reached or refuses."""

    @abstractmethod
    def exchange(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one request and return the answer with any status. Read its body before the next request."""

    def cause(self) -> str | None:
        """Return why the service failed last, if this client can know it."""
        return None

    def get(self, path: str, **query: object) -> Any:
        """Return the resource at *path*."""
        return self.send("GET", path, query=query)

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Query | None = None,
        if_match: str | None = None,
    ) -> Any:
        """Return the JSON of the answer; None for an empty answer."""
        headers = {"accept": "application/json"} | ({"if-match": if_match} if if_match else {})
        answer = self._checked(self.exchange(method, _target(path, query), *_encoded(headers, method, body)))
        return _json(answer, b"".join(answer.chunks))

    def pages(self, path: str, **query: object) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield the items of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.send("GET", path, query={"limit": _PAGE, **query, "cursor": cursor})
            items, following = _page(page)
            yield items
            if following is None:
                return
            if following == cursor:
                raise Failure("The service sent the same page twice.", UNREACHABLE)
            cursor = following

    def events(self, method: str, path: str, body: object) -> Iterator[Event]:
        """Yield the events of a request that reports its progress."""
        headers, content = _encoded({"accept": EVENT_STREAM}, method, body)
        answer = self._checked(self.exchange(method, _target(path, None), headers, content))
        if answer.media_type != EVENT_STREAM:
            raise Failure("The service did not answer with a stream of events.", UNREACHABLE)
        try:
            yield from read_events(answer.chunks)
        except (ValueError, RecursionError):
            raise Failure("The service sent an event that is not JSON.", UNREACHABLE) from None

    def _checked(self, answer: Answer) -> Answer:
        if 200 <= answer.status < 300:
            return answer
        content = b"".join(answer.chunks)
        raise failure_of(answer.status, answer.headers, content, self.cause())


def _page(answer: Any) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """Return the items of a page and the cursor of the next page."""
    match answer:
        case {"items": list(items), "next_cursor": None | str()} if all(isinstance(item, dict) for item in items):
            return items, answer["next_cursor"]
        case _:
            raise Failure("The answer is not a list of mail-settings.", UNREACHABLE)


def segment(name: str) -> str:
    """Return *name* as one part of a path."""
    return quote(name, safe="")


def _target(path: str, query: Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value not in (None, ())}
    return f"/v1{path}?{urlencode(given, doseq=True)}" if given else f"/v1{path}"


def _encoded(headers: Mapping[str, str], method: str, body: object) -> tuple[dict[str, str], bytes]:
    if body is None:
        return dict(headers), b""
    # RFC 5789 2: the media type says how a PATCH is meant.
    media_type = "application/merge-patch+json" if method == "PATCH" else "application/json"
    return {**headers, "content-type": media_type}, json.dumps(body).encode()


def _json(answer: Answer, content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        kind = answer.media_type or "no media type"
        raise Failure(
            f"The answer has {kind} instead of JSON: is this the address of mail-settings?", UNREACHABLE
        ) from None
