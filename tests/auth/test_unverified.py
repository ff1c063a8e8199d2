"""Reading unverified tokens costs the sender more than the service."""

import base64
import tracemalloc

from mailsettings.auth.access_token import MAX_TOKEN_LENGTH, parse_unverified


def part(json: str) -> str:
    return base64.urlsafe_b64encode(json.encode()).decode().rstrip("=")


def claims(number: int) -> str:
    """Small as a text, and some thousand objects when it is read."""
    return '{"a":[' + "[]," * 1900 + f"{number}]}}"


def test_unverified_tokens_take_bounded_memory() -> None:
    tokens = [f"{part('{}')}.{part(claims(number))}." for number in range(300)]
    assert max(map(len, tokens)) <= MAX_TOKEN_LENGTH
    tracemalloc.start()

    for token in tokens:
        parse_unverified(token)

    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    parse_unverified.cache_clear()
    assert kept < 10 * 2**20
