"""What the ports of mail are known for: who speaks first on them, and which are worth a look."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailsettings.domain.mail_server import ConnectionSecurity

IMPLICIT_TLS_PORTS = frozenset({465, 2465})
"""The client speaks first here, with its ClientHello (RFC 8314 7.3)."""
GREETING_PORTS = frozenset({25, 587, 2525, 2587})
"""The server speaks first here (RFC 5321 3.1, RFC 6409 3.1), and filters punish a client that does."""
# In the order of what to recommend; the security is what the port is registered or known for.
USUAL_PORTS: Mapping[int, ConnectionSecurity] = {
    465: ConnectionSecurity.IMPLICIT_TLS,  # RFC 8314 7.3
    587: ConnectionSecurity.STARTTLS,  # RFC 6409 3.1
    25: ConnectionSecurity.STARTTLS,
    2525: ConnectionSecurity.STARTTLS,
}


@dataclass(frozen=True, slots=True)
class KnownPorts:
    """The ports by who speaks first, and the `usual` ones of a host, best first. On any other either may."""

    implicit_tls: frozenset[int] = IMPLICIT_TLS_PORTS
    greeting: frozenset[int] = GREETING_PORTS
    usual: Mapping[int, ConnectionSecurity] = field(default_factory=lambda: USUAL_PORTS)

    def are_settled(self, port: int) -> bool:
        """Return whether it is known who speaks first on *port*."""
        return port in self.implicit_tls or port in self.greeting
