"""The part of a server's reply that means something to people, for messages that have no room for all of it."""

import re

MAX_SUMMARY_LENGTH = 300
_LINKS = re.compile(r"<https?://[^>]*(>|$)|https?://\S+", re.IGNORECASE)
"""With blanks in it too: a link that a server breaks over several lines is in angle brackets."""
_LEADS = re.compile(
    r"\s*[([]?\b(for (more|further|additional) (information|details|help),? ?(please )?(go to|visit|see|check)?"
    r"|(please )?(learn|read|see|find out) more( at| on| about it)?|more info(rmation)?( at| in| on)?"
    r"|(please )?(see|visit|check|contact|go to|refer to)( at)?|for explanation visit)\s*[:\-]*\s*(?=$|[)\].]"
    r"|- gsmtp)",
    re.IGNORECASE,
)
_TRACES = re.compile(
    r"\s*\[[A-Z0-9]{8,}\.[^\]]*\]|\s*\b[a-z0-9]{8,}-?[a-z0-9]*\.\d+\b(?=\s*-?\s*(gsmtp|gcdp)?$)|\s*- (gsmtp"
    r"|gcdp)\b"
)
"""Marks that are for the log of the provider: host and time of Exchange, session of Google."""


def summary(text: str) -> str:
    """Return *text* without links, the words that lead to them, and marks for the provider; bounded."""
    without = _LINKS.sub(" ", text)
    for _ in range(2):
        without = _LEADS.sub("", _TRACES.sub("", " ".join(without.split())))
    without = " ".join(without.split()).rstrip(" -:;,") or text
    return (
        without
        if len(without) <= MAX_SUMMARY_LENGTH
        else f"{without[: MAX_SUMMARY_LENGTH - 1].rpartition(' ')[0]}…"
    )
