"""Why a host could not be looked up, from what the system's resolver says."""

import socket

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.findings import failure

RESOLVER_TIMEOUT_SECONDS = 4.5
"""A little less than what glibc waits for one name server; it has one number for silence and for failure."""
_NAME_UNKNOWN = {socket.EAI_NONAME}
_NAME_WITHOUT_ADDRESS = {
    getattr(socket, name, socket.EAI_NONAME) for name in ("EAI_NODATA", "EAI_ADDRFAMILY")
} - _NAME_UNKNOWN
_NO_RESPONSE = {socket.EAI_AGAIN}


def explain_lookup_error(error: Exception, seconds: float) -> ProbeFailure:
    """What *error* means, which came after so many *seconds*."""
    return failure(_lookup_code(error, seconds), ProbeStage.RESOLVE)


def _lookup_code(error: Exception, seconds: float) -> FailureCode:
    if not isinstance(error, socket.gaierror):
        return FailureCode.HOST_NOT_FOUND if isinstance(error, UnicodeError) else FailureCode.NAME_SERVER_FAILED
    if error.errno in _NAME_UNKNOWN:
        return FailureCode.HOST_NOT_FOUND
    if error.errno in _NAME_WITHOUT_ADDRESS:
        return FailureCode.HOST_WITHOUT_ADDRESS
    silent = error.errno in _NO_RESPONSE and seconds >= RESOLVER_TIMEOUT_SECONDS
    return FailureCode.NAME_SERVER_TIMED_OUT if silent else FailureCode.NAME_SERVER_FAILED
