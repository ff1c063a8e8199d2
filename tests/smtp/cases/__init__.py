"""All situations, by kind."""

from smtp.cases import access, encryption, mailbox_providers, senders, sending_services, servers, working
from smtp.cases.situation import Situation

SITUATIONS: tuple[Situation, ...] = (
    *access.SITUATIONS,
    *senders.SITUATIONS,
    *encryption.SITUATIONS,
    *servers.SITUATIONS,
    *mailbox_providers.SITUATIONS,
    *sending_services.SITUATIONS,
    *working.SITUATIONS,
)
