"""Dovecot's submission service, in front of a mail server that is away."""

from mailsettings.domain.connection_test import FailureCode

from support.real_mail_servers.case import STARTTLS, Case, Server, usual

CONFIGURATION = """
protocols = submission
base_dir = /run/dovecot
log_path = /dev/stderr
info_log_path = /dev/stderr
hostname = mail.example.org
ssl = required
ssl_cert = </etc/mail-test.crt
ssl_key = </etc/mail-test.key
disable_plaintext_auth = yes
auth_mechanisms = plain login
submission_relay_host = 127.0.0.1
submission_relay_port = 2500
submission_max_mail_size = 1M
mail_location = maildir:/tmp/%u
passdb {
  driver = static
  args = user=%u password=correct
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=/tmp
}
service submission-login {
  inet_listener submission {
    port = 587
  }
  inet_listener submissions {
    port = 465
    ssl = yes
  }
}
"""

SERVER = Server(
    "dovecot",
    {"/etc/dovecot/dovecot.conf": CONFIGURATION},
    "exec dovecot -F -c /etc/dovecot/dovecot.conf",
    (587, 465),
    [
        *[case for case in usual("alice") if "right" not in case.title],
        Case("relay behind it is away", 587, STARTTLS, FailureCode.SERVER_UNAVAILABLE, "alice"),
    ],
)
