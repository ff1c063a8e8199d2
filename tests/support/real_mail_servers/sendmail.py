"""sendmail, with the greet_pause of five seconds that punishes clients which speak before the greeting."""

from support.real_mail_servers.case import NONE, STARTTLS, Case, Server, usual

CONFIGURATION = """
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`debian')dnl
DOMAIN(`debian-mta')dnl
undefine(`confHOST_STATUS_DIRECTORY')dnl
define(`confDOMAIN_NAME',`mail.example.org')dnl
define(`confLOG_LEVEL',`9')dnl
define(`confMAX_MESSAGE_SIZE',`0')dnl
define(`confCACERT_PATH',`/etc/ssl/certs')dnl
FEATURE(`accept_unresolvable_domains')dnl
define(`confCACERT',`/etc/mail-test.crt')dnl
define(`confSERVER_CERT',`/etc/mail-test.crt')dnl
define(`confSERVER_KEY',`/etc/mail-test.key')dnl
define(`confAUTH_MECHANISMS',`PLAIN LOGIN')dnl
TRUST_AUTH_MECH(`PLAIN LOGIN')dnl
define(`confAUTH_OPTIONS',`A p y')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`greet_pause',`5000')dnl
DAEMON_OPTIONS(`Family=inet, Name=MTA, Port=25, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Family=inet, Name=MSA, Port=587, M=Ea, Addr=127.0.0.1')dnl
DAEMON_OPTIONS(`Family=inet, Name=TLS, Port=465, M=s, Addr=127.0.0.1')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
LOCAL_CONFIG
Cwexample.org
"""
SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\nsasldb_path: /etc/sasldb2\n"
SYSLOG = """
import os, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("/dev/log")
if os.fork() == 0:
    while True:
        print(log.recv(4000).decode(errors="replace"), flush=True)
"""
START = """
mkdir -p /etc/mail/sasl /var/spool/mqueue /run/sendmail/mta
m4 /etc/mail/test.mc > /etc/mail/test.cf
echo correct | saslpasswd2 -p -c -u mail.example.org alice
cp /etc/mail-test.sasl /usr/lib/sasl2/Sendmail.conf
cp /etc/mail-test.sasl /etc/mail/sasl/Sendmail.conf.2
touch /etc/mail/local-host-names
python3 /etc/mail-test.syslog
exec /usr/libexec/sendmail/sendmail -bD -C /etc/mail/test.cf
"""

SERVER = Server(
    "sendmail",
    {"/etc/mail/test.mc": CONFIGURATION, "/etc/mail-test.sasl": SASL, "/etc/mail-test.syslog": SYSLOG},
    START,
    (25, 587, 465),
    [
        *usual("alice"),
        Case("greets after 5 seconds", 25, NONE),
        Case("STARTTLS, no login, local recipient", 25, STARTTLS),
    ],
    punishes=("pre-greeting traffic", "lost input channel", "did not issue"),
)
