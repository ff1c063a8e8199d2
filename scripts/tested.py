"""Which modules have every branch tested and nearly every mutant found out, and the tests that are about them.

`branches.py` and `mutate.py` read it. The tests on PostgreSQL are left out of both: the same lines run for both
databases. Left out are also those that start the whole service, which would find out much and take hours.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Modules, below `src/mailsettings`, and tests, below `tests`."""

    modules: Sequence[str]
    tests: Sequence[str]


_FORGED = "abuse/test_foreign_tokens.py::test_no_other_token_opens"
_LIES = "abuse/test_lying_issuers.py"
PARTS: Mapping[str, Part] = {
    "web": Part([f"web/{name}.py" for name in ("errors", "request_errors", "strict_json", "validation")], ["web"]),
    "domain": Part(
        ["domain/findings/*"]
        + [
            f"domain/{name}.py"
            for name in ("access", "certificates", "change", "connection_test", "encryption_keys")
        ]
        + [f"domain/{name}.py" for name in ("errors", "mail_server", "monitoring", "observation", "outbox")]
        + [f"domain/{name}.py" for name in ("secret", "setting", "syntax")],
        ["domain", "abuse/test_certificates.py"],
    ),
    "audit": Part(
        [f"domain/{name}.py" for name in ("audit_log", "audit_witness", "login_throttling")],
        ["domain/test_audit_log.py", "store/test_audit_log.py", "store/test_idempotency.py"]
        + [f"use_cases/test_{name}.py" for name in ("audit_log", "login")]
        + ["abuse/test_locking_out.py"],
    ),
    "network": Part(
        [f"network/{name}.py" for name in ("policy", "guard")],
        ["network/test_policy.py", "network/test_guard.py"],
    ),
    "encryption": Part(
        ["store/encryption/*", "store/private_file.py"],
        [f"store/test_{name}.py" for name in ("sealing", "key_registry", "key_file", "secret_labels")]
        + ["abuse/test_old_seals.py"],
    ),
    "auth": Part(
        [f"auth/{name}.py" for name in ("access_token", "passwords", "signing_keys", "tokens")],
        ["auth", "abuse/test_own_tokens.py", _FORGED, f"{_LIES}::test_keys_that_are_of_no_use_are_left_out"],
    ),
    "issuer": Part(
        [f"auth/{name}.py" for name in ("fetching", "jwks", "oidc")],
        ["auth/test_oidc.py", "auth/test_jwks.py", _FORGED, _LIES],
    ),
    "backups": Part(
        ["domain/backup.py", "store/backup/*"],
        [f"store/test_{name}.py" for name in ("backups", "backup_contents", "backup_file", "backup_writer")],
    ),
    "webhook": Part(["webhook/*"], ["webhook"]),
    "history": Part(
        ["domain/history.py", "web/negotiation.py"],
        ["use_cases/test_history.py", "domain/test_history.py", "dialects/test_conditions.py"],
    ),
    "use_cases": Part(
        ["use_cases/*"],
        ["use_cases", "store/test_key_registry.py", "store/test_audit_log.py", "abuse/test_audit_witness.py"],
    ),
}
PYTEST = ("-k", "not postgresql")
