"""Unusual servers that work: the test must pass."""

from smtp.cases.situation import CUT, IMPLICIT, STARTTLS, Situation

_LOGIN_ONLY = "250-mail.example.com\n250 AUTH LOGIN"
_ASKS_FOR_NAME, _ASKS_FOR_PASSWORD = "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"
SITUATIONS = (
    Situation(
        "AUTH LOGIN asks for the name again",
        "MailKit#216, smtp4dev#17, OpenSMTPD#422",
        {"EHLO": _LOGIN_ONLY, "AUTH": _ASKS_FOR_NAME, "AUTH 2": _ASKS_FOR_PASSWORD, "AUTH 3": "235 2.7.0 Yes"},
    ),
    Situation(
        "AUTH LOGIN without an argument only",
        "mox#387, go-simple-mail#119",
        {
            "EHLO": _LOGIN_ONLY,
            "AUTH": lambda line: "501 5.5.4 Syntax error" if line.count(" ") > 1 else _ASKS_FOR_NAME,
            "AUTH 2": _ASKS_FOR_PASSWORD,
            "AUTH 3": "235 2.7.0 Yes",
        },
    ),
    Situation("a host with a final dot", "Internet.nl#201", {}, security=STARTTLS, host="mail.example.com."),
    Situation(
        "a host with a final dot, implicit TLS", "Internet.nl#201", {}, security=IMPLICIT, host="mail.example.com."
    ),
    *(
        Situation(f"a reply cut {where}", "RFC 5321 2.3.8", {"EHLO": reply})
        for where, reply in (
            ("inside its code", f"250-mail.example.com\n2{CUT}50-SIZE\n250 AUTH PLAIN"),
            ("before its code", f"250-mail.example.com\n{CUT}250 AUTH PLAIN"),
            ("inside a word", f"250-mail.exa{CUT}mple.com\n250 AUTH PL{CUT}AIN"),
            ("after its code", f"250{CUT}-mail.example.com\n250{CUT} AUTH PLAIN"),
        )
    ),
    Situation("a greeting of many lines", "RFC 5321 4.2.1", {"greeting": "220-hello\n220-there\n220 mail ESMTP"}),
)
