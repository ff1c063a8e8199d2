"""OpenSMTPD. Debian 12's ends each handshake with the alert `internal_error`, since its keys live elsewhere."""

from mailsettings.domain.connection_test import FailureCode

from support.real_mail_servers.case import ELSEWHERE, IMPLICIT, NONE, STARTTLS, UNKNOWN, Case, Server

CONFIGURATION = """
pki mail.example.org cert "/etc/mail-test.crt"
pki mail.example.org key "/etc/mail-test.key"
table users { alice = "HASH" }
listen on 127.0.0.1 port 25 tls pki mail.example.org
listen on 127.0.0.1 port 587 tls-require pki mail.example.org auth <users>
listen on 127.0.0.1 port 465 smtps pki mail.example.org auth <users>
table recipients { "alice@example.org" }
action "null" mda "/bin/cat > /dev/null" virtual { "@" = "nobody" }
match auth from any for any action "null"
match from any for domain "example.org" rcpt-to <recipients> action "null"
"""
START = """
sed -i "s|HASH|$(smtpctl encrypt correct)|" /etc/smtpd.conf
mkdir -p /var/spool/smtpd && chmod 711 /var/spool/smtpd
exec smtpd -d -f /etc/smtpd.conf
"""

SERVER = Server(
    "opensmtpd",
    {"/etc/smtpd.conf": CONFIGURATION},
    START,
    (25, 587, 465),
    [
        Case("no encryption, local recipient", 25, NONE),
        Case("relay denied", 25, NONE, FailureCode.RECIPIENT_REFUSED, recipient=ELSEWHERE),
        Case("recipient unknown", 25, NONE, FailureCode.RECIPIENT_REFUSED, recipient=UNKNOWN),
        Case("server fails in the handshake", 587, STARTTLS, FailureCode.TLS_SERVER_ERROR, "alice"),
        Case("server fails in the handshake, TLS port", 465, IMPLICIT, FailureCode.TLS_SERVER_ERROR, "alice"),
        Case("implicit TLS on the STARTTLS port", 587, IMPLICIT, FailureCode.WRONG_CONNECTION_SECURITY, "alice"),
        Case("login offered only after STARTTLS", 587, NONE, FailureCode.ENCRYPTION_REQUIRED, "alice"),
    ],
)
