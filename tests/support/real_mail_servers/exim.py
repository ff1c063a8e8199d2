"""Exim, light, with access control lists as administrators write them."""

from mailsettings.domain.connection_test import FailureCode

from support.real_mail_servers.case import ELSEWHERE, NONE, STARTTLS, UNKNOWN, Case, Server, usual

CONFIGURATION = r"""
exim_user = Debian-exim
primary_hostname = mail.example.org
log_file_path = /tmp/exim-%slog
spool_directory = /tmp/spool
daemon_smtp_ports = 25 : 587 : 465 : 2525 : 2526 : 2527 : 2528
tls_on_connect_ports = 465
tls_advertise_hosts = *
tls_certificate = /etc/mail-test.crt
tls_privatekey = /etc/mail-test.key
auth_advertise_hosts = ${if eq {$tls_in_cipher}{}{}{*}}
acl_smtp_helo = check_helo
acl_smtp_mail = check_mail
acl_smtp_rcpt = check_rcpt
message_size_limit = ${if eq {$received_port}{2526}{200}{50M}}
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 50
never_users =
begin acl
check_helo:
  deny condition = ${if eq {$received_port}{2525}}
       condition = ${if isip {${sg{$sender_helo_name}{[][]}{}}}}
       message = Access denied - Invalid HELO name (See RFC2821 4.1.1.1)
  accept
check_mail:
  deny condition = ${if eq {$received_port}{587}}
       !authenticated = *
       message = authentication required
  accept
check_rcpt:
  defer condition = ${if eq {$received_port}{2527}}
        message = greylisted; try again in 300 seconds
  accept authenticated = *
  accept domains = example.org
         local_parts = alice
  deny domains = example.org
       message = Unrouteable address
  deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = null
begin transports
null:
  driver = appendfile
  file = /dev/null
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{alice}}{eq{$auth3}{correct}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth1}{alice}}{eq{$auth2}{correct}}}}
  server_set_id = $auth1
"""
START = """
mkdir -p /tmp/spool && chown -R Debian-exim /tmp/spool /etc/mail-test.key
for log in mainlog rejectlog paniclog; do touch /tmp/exim-$log; chown Debian-exim /tmp/exim-$log; done
tail -qF /tmp/exim-mainlog /tmp/exim-paniclog &
exec exim4 -C /etc/exim.conf -bdf
"""

SERVER = Server(
    "exim",
    {"/etc/exim.conf": CONFIGURATION},
    START,
    (25, 587, 465, 2525),
    [
        *usual("alice"),
        Case("no encryption, local recipient", 25, NONE),
        Case("STARTTLS, no login, local recipient", 25, STARTTLS),
        Case("relay denied", 25, NONE, FailureCode.RELAY_REFUSED, recipient=ELSEWHERE),
        Case("recipient unknown", 25, NONE, FailureCode.RECIPIENT_REFUSED, recipient=UNKNOWN),
        Case("EHLO name refused", 2525, NONE, FailureCode.EHLO_NAME_REFUSED, ehlo_name=None),
        Case("message too large", 2526, NONE, FailureCode.MESSAGE_TOO_LARGE),
        Case("greylisted", 2527, NONE, FailureCode.TEMPORARY_REFUSAL),
        Case("login offered only after STARTTLS", 587, NONE, FailureCode.ENCRYPTION_REQUIRED, "alice"),
    ],
    punishes=("synchronization error", "TLS error", "unexpected disconnection", "SMTP connection lost"),
)
