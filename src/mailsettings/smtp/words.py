"""Words that replies of mail servers are made of. Pure data; lower case.

A password that is one of these is no secret to whoever reads a reply, with or without it: every refused login has
the word "password" in it. Digits, single letters and names are not here: those may be somebody's PIN or initials.
"""

REPLY_WORDS = frozenset(
    {
        *("accepted", "access", "account", "address", "allowed", "and", "application", "auth", "authenticate"),
        *("authenticated", "authentication", "authorization", "authorized", "bad", "blocked", "client"),
        *("closing", "command", "connection", "connections", "credentials", "data", "daily", "denied"),
        *("disabled", "domain", "email", "enabled", "encryption", "error", "esmtp", "exceeded", "expired"),
        *("failed", "failure", "for", "found", "from", "greylisted", "hello", "helo", "host", "incorrect"),
        *("invalid", "later", "limit", "local", "locked", "login", "logon", "mail", "mailbox", "message"),
        *("mechanism", "missing", "network", "not", "now", "only", "password", "permission", "please", "policy"),
        *("postfix", "protocol", "quota", "recipient", "refused", "rejected", "relay", "relaying", "required"),
        *("secret", "secure", "security", "sender", "sending", "server", "service", "session", "size", "smtp"),
        *("spam", "ssl", "starttls", "submission", "success", "suspended", "syntax", "system", "temporary"),
        *("test", "the", "this", "timeout", "tls", "token", "try", "unavailable", "unknown", "unsuccessful"),
        *("user", "username", "valid", "verify", "welcome", "with", "wrong", "your"),
    }
)
