"""Open one logged-in connection for a pool, and say what a failure means for those in line."""

import asyncio
import logging
import traceback
from enum import Enum, auto

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.findings import failure
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.values import MASK
from mailsettings.relay.outgoing import answers
from mailsettings.relay.outgoing.place_counter import Place
from mailsettings.relay.outgoing.server_connection import ServerConnection
from mailsettings.relay.replies import Refused
from mailsettings.smtp.connector import EXPECTED_ERRORS, Connector, OnlyWait
from mailsettings.smtp.conversation import Conversation
from mailsettings.smtp.diagnosis.failures import explain_error
from mailsettings.smtp.errors import ReplyError
from mailsettings.smtp.journal import Journal
from mailsettings.smtp.oauth2 import TokenRequestFailed

TOO_MANY = {421, 432}
"""RFC 5321 3.8, and Exchange's "Concurrent connections limit exceeded": a later attempt may succeed."""
_PERMANENT = 5  # RFC 5321 4.2.1: the first digit
_UNAVAILABLE = {FailureCode.OAUTH2_AUTHORITY_UNREACHABLE, FailureCode.TEMPORARY_REFUSAL}
_log = logging.getLogger("mailsettings.relay")


class Trouble(Enum):
    """What a connection that was not opened means for the next."""

    TOO_MANY = auto()
    """The server has too many connections: wait."""
    LOGIN_REFUSED = auto()
    """The stored login is not right: stop trying for a while, and tell the administrator."""
    LOGIN_UNAVAILABLE = auto()
    """The login failed for now: stop trying for a moment."""
    OTHER = auto()


class NotOpened(Exception):
    """There is no connection: `refusal` goes to the devices that wait, `found` to the administrator."""

    def __init__(self, trouble: Trouble, found: ProbeFailure, refusal: Refused) -> None:
        super().__init__(found.code)
        self.trouble = trouble
        self.found = found
        self.refusal = refusal


class Opener:
    """Opens connections to *server*, each within *seconds*; `running` are the journals of attempts in progress."""

    def __init__(self, server: StoredMailServer, connector: Connector, seconds: float) -> None:
        self._server = server
        self._connector = connector
        self._seconds = seconds
        self.running: list[Journal] = []

    async def open(self, place: Place) -> ServerConnection:
        """Return a connection in *place*. Raises `NotOpened`, after it released the place."""
        journal = Journal(self._server.server)
        journal.deadline_seconds = self._seconds
        self.running.append(journal)
        try:
            async with asyncio.timeout(self._seconds):
                conversation = await self._logged_in(journal)
            return ServerConnection(self._server, conversation.session, journal, place)
        except Exception as error:
            place.release()
            raise _explained(error, journal) from error
        except BaseException:
            place.release()
            raise
        finally:
            self.running.remove(journal)

    async def _logged_in(self, journal: Journal) -> Conversation:
        addresses = await self._connector.resolve(journal)
        try:
            return await self._connector.connect(journal, addresses, OnlyWait())
        except ReplyError as error:
            # The token may have been revoked since it was fetched; another is fetched once.
            if not journal.token_was_cached or not _is_login_refusal(error, journal):
                raise
        return await self._connector.connect(journal, addresses, OnlyWait())


def _is_login_refusal(error: Exception, journal: Journal) -> bool:
    in_login = journal.last_stage is ProbeStage.AUTHENTICATE
    return in_login and isinstance(error, ReplyError) and error.code // 100 == _PERMANENT


def _explained(error: Exception, journal: Journal) -> NotOpened:
    """Explain *error*. A server can send anything, and the messages in line get a reply also after a defect."""
    try:
        if isinstance(error, EXPECTED_ERRORS):
            return _not_opened(error, journal)
    except Exception as defect:  # noqa: BLE001  # as said
        return _defect(defect, journal)
    return _defect(error, journal)


def _not_opened(error: Exception, journal: Journal) -> NotOpened:
    found = explain_error(error, journal)
    if isinstance(error, ReplyError) and error.code in TOO_MANY:
        return NotOpened(Trouble.TOO_MANY, found, answers.busy(found.code.value, _words(error, journal)))
    refusal = answers.of_failure(found)
    if found.stage is not ProbeStage.AUTHENTICATE or not isinstance(error, ReplyError | TokenRequestFailed):
        return NotOpened(Trouble.OTHER, found, refusal)
    for_now = found.code in _UNAVAILABLE or (isinstance(error, ReplyError) and error.code // 100 != _PERMANENT)
    return NotOpened(Trouble.LOGIN_UNAVAILABLE if for_now else Trouble.LOGIN_REFUSED, found, refusal)


def _words(error: ReplyError, journal: Journal) -> str:
    said = answers.passed(error.code, error.text, journal)
    return f"{said.code} {said.enhanced} {said.text}"


def _defect(error: Exception, journal: Journal) -> NotOpened:
    """Log *error* with its traceback, without the secrets of the connection."""
    text = "".join(traceback.format_exception(error))
    for form in journal.hidden:
        text = text.replace(form, MASK)
    _log.error("A connection to a mail server failed unexpectedly.\n%s", text)
    found = failure(FailureCode.INTERNAL, journal.last_stage)
    return NotOpened(Trouble.OTHER, found, answers.of_failure(found))
