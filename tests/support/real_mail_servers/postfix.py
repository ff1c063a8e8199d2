"""Postfix, as Debian configures its submission ports."""

from mailsettings.domain.connection_test import FailureCode

from support.real_mail_servers.case import ELSEWHERE, NONE, STARTTLS, UNKNOWN, Case, Server, usual

USERNAME = "alice@mail.example.org"
MAIN = """
compatibility_level = 3.6
maillog_file = /var/log/mail.log
myhostname = mail.example.org
mydestination = example.org
mynetworks = 192.0.2.0/24
local_recipient_maps = inline:{alice=x}
local_transport = discard:
relay_transport = discard:
default_transport = discard:
inet_protocols = ipv4
smtpd_tls_cert_file = /etc/mail-test.crt
smtpd_tls_key_file = /etc/mail-test.key
smtpd_tls_security_level = may
smtpd_relay_restrictions = permit_sasl_authenticated, defer_unauth_destination
cyrus_sasl_config_path = /etc/postfix/sasl
"""
MASTER = """
smtp       inet n - n - - smtpd
submission inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_tls_auth_only=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
smtps      inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
2525       inet n - n - - smtpd
  -o smtpd_helo_required=yes
  -o smtpd_helo_restrictions=reject_non_fqdn_helo_hostname,reject_invalid_helo_hostname
2526       inet n - n - - smtpd
  -o message_size_limit=200
2527       inet n - n - - smtpd
  -o { smtpd_recipient_restrictions = check_recipient_access static:{450 4.2.0 Greylisted, try again later} }
2528       inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
2529       inet n - n - - smtpd
  -o { smtpd_client_restrictions = sleep 6, permit }
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""
SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: /etc/sasldb2\n"
START = """
echo correct | saslpasswd2 -p -c -u mail.example.org alice
chgrp postfix /etc/sasldb2 && chmod 640 /etc/sasldb2
tail -qF /var/log/mail.log 2>/dev/null &
exec postfix start-fg
"""

SERVER = Server(
    "postfix",
    {"/etc/postfix/main.cf": MAIN, "/etc/postfix/master.cf": MASTER, "/etc/postfix/sasl/smtpd.conf": SASL},
    START,
    (25, 587, 465, 2525),
    [
        *usual(USERNAME),
        Case("no encryption, local recipient", 25, NONE),
        Case("STARTTLS, no login, local recipient", 25, STARTTLS),
        Case("relay denied", 25, NONE, FailureCode.RELAY_REFUSED, recipient=ELSEWHERE),
        Case("recipient unknown", 25, NONE, FailureCode.RECIPIENT_REFUSED, recipient=UNKNOWN),
        Case("EHLO name refused", 2525, NONE, FailureCode.EHLO_NAME_REFUSED, ehlo_name="localhost"),
        Case("message too large", 2526, NONE, FailureCode.MESSAGE_TOO_LARGE),
        Case("greylisted", 2527, NONE, FailureCode.TEMPORARY_REFUSAL),
        Case("TLS demanded before anything else", 2528, NONE, FailureCode.ENCRYPTION_REQUIRED),
        Case("login offered only after STARTTLS", 587, NONE, FailureCode.ENCRYPTION_REQUIRED, USERNAME),
        Case("greets after 6 seconds", 2529, NONE),
    ],
    punishes=("lost connection after", "non-SMTP command", "improper command pipelining", "SSL_accept error"),
)
