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
    "web": Part([f"web/{name}.py" for name in ("errors", "refusals", "strict_json", "validation")], ["web"]),
    "domain": Part(
        ["domain/findings/*"]
        + [
            f"domain/{name}.py"
            for name in ("access", "errors", "mail_server", "observation", "probe", "replacement")
        ]
        + [f"domain/{name}.py" for name in ("sealing_key", "secret", "secure_url", "setting", "text", "trust")]
        + [f"domain/{name}.py" for name in ("certificates", "changed", "outbox", "precondition", "watch")],
        ["domain", "abuse/test_certificates.py"],
    ),
    "audit": Part(
        [f"domain/{name}.py" for name in ("audit", "audit_trail", "difference", "guessing", "seen_entry")],
        ["domain/test_audit_log.py", "store/test_audit_log.py", "store/test_idempotency.py"]
        + [f"use_cases/test_{name}.py" for name in ("audit", "log_in")]
        + ["abuse/test_locking_out.py"],
    ),
    "smtp": Part(
        [f"smtp/{name}.py" for name in ("egress", "embedding", "gate")],
        ["network/test_policy.py", "network/test_guard.py"],
    ),
    "sealing": Part(
        [f"store/{name}.py" for name in ("sealing", "sealed_columns", "sealing_keys")]
        + [f"store/{name}.py" for name in ("key_ring", "ring_file", "key_admission", "key_file")],
        [f"store/test_{name}.py" for name in ("sealing", "sealing_keys", "ring_file", "secret_labels")]
        + ["abuse/test_old_seals.py"],
    ),
    "auth": Part(
        [
            f"auth/{name}.py"
            for name in ("tokens", "signing_keys", "passwords", "hashing_queue", "issuers", "unverified")
        ]
        + [f"auth/{name}.py" for name in ("access_token", "json_web_keys", "openid_connect")],
        ["auth", "abuse/test_own_tokens.py", _FORGED, f"{_LIES}::test_keys_that_are_of_no_use_are_left_out"],
    ),
    "issuer": Part(
        [f"auth/{name}.py" for name in ("discovery", "fetching", "issuer_keys")],
        ["auth/test_oidc.py", _LIES],
    ),
    "backups": Part(
        ["domain/backup.py", *(f"store/backup_{name}.py" for name in ("contents", "file", "reader"))]
        + [f"store/{name}.py" for name in ("backups", "new_file", "restoring", "snapshot")],
        [f"store/test_{name}.py" for name in ("backups", "backup_contents", "backup_file", "new_file")],
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
