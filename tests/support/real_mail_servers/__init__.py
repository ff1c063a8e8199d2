"""How each real mail server is set up, and what a connection test must report about it.

The configurations are written for these tests; the expected codes follow from the configuration.
"""

from support.real_mail_servers import dovecot, exim, opensmtpd, postfix, sendmail
from support.real_mail_servers.case import Case, Server

SERVERS: tuple[Server, ...] = (postfix.SERVER, exim.SERVER, opensmtpd.SERVER, dovecot.SERVER, sendmail.SERVER)

__all__ = ["SERVERS", "Case", "Server"]
