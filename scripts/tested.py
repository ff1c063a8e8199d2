"""List the modules with tests for every branch and nearly every mutant, and the tests that cover them.

`make mutate` and `make check` read it. `python scripts/tested.py counted` prints pytest's options for a run of the
files and folders named here, in which pytest-cov counts the branches; `rest` prints those for a run of all others.
Tests that start the whole service are not named: they would reach many branches and assert little about each.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """Modules or packages, and the tests that cover them."""

    modules: Sequence[str]
    tests: Sequence[str]


PARTS: Mapping[str, Part] = {
    "web": Part(
        [
            "mailsettings.web.errors",
            "mailsettings.web.request_errors",
            "mailsettings.web.body",
        ],
        ["tests/web", "tests/dialects/v1/test_seam.py", "tests/dialects/v1/test_mail_servers.py"],
    ),
    "domain": Part(
        [
            "mailsettings.domain.findings",
            "mailsettings.domain.access",
            "mailsettings.domain.certificates",
            "mailsettings.domain.change",
            "mailsettings.domain.connection_test",
            "mailsettings.domain.device",
            "mailsettings.domain.device_secret",
            "mailsettings.domain.trusted_networks",
            "mailsettings.domain.encryption_keys",
            "mailsettings.domain.errors",
            "mailsettings.domain.mail_server",
            "mailsettings.domain.message_log",
            "mailsettings.domain.monitoring",
            "mailsettings.domain.observation",
            "mailsettings.domain.values",
            "mailsettings.domain.setting",
        ],
        ["tests/domain", "tests/abuse/test_certificates.py"],
    ),
    "audit": Part(
        [
            "mailsettings.domain.audit_log",
            "mailsettings.domain.login_throttling",
        ],
        [
            "tests/domain/test_audit_log.py",
            "tests/store/test_audit_log.py",
            "tests/store/test_idempotency.py",
            "tests/use_cases/test_audit_log.py",
            "tests/use_cases/test_login.py",
            "tests/abuse/test_locking_out.py",
        ],
    ),
    "network": Part(
        ["mailsettings.network.policy", "mailsettings.network.guard"],
        ["tests/network/test_policy.py", "tests/network/test_guard.py"],
    ),
    "encryption": Part(
        ["mailsettings.store.encryption", "mailsettings.store.private_file"],
        [
            "tests/store/test_sealing.py",
            "tests/store/test_key_registry.py",
            "tests/store/test_key_file.py",
            "tests/store/test_private_file.py",
            "tests/store/test_secret_labels.py",
            "tests/abuse/test_old_seals.py",
        ],
    ),
    "auth": Part(
        [
            "mailsettings.auth.access_token",
            "mailsettings.auth.issuers",
            "mailsettings.auth.passwords",
            "mailsettings.auth.tokens",
            "mailsettings.auth.trusted_issuer",
        ],
        [
            "tests/auth",
            "tests/abuse/test_own_tokens.py",
            "tests/abuse/test_foreign_tokens.py::test_no_other_token_is_accepted",
            "tests/abuse/test_lying_issuers.py::test_keys_that_are_of_no_use_are_left_out",
        ],
    ),
    "issuer": Part(
        [
            "mailsettings.auth.discovery",
            "mailsettings.auth.jwks",
            "mailsettings.auth.oidc",
            "mailsettings.network.http",
        ],
        [
            "tests/auth/test_oidc.py",
            "tests/auth/test_jwks.py",
            "tests/webhook",
            "tests/network/test_http.py",
            "tests/network/test_proxy.py",
            "tests/abuse/test_foreign_tokens.py::test_no_other_token_is_accepted",
            "tests/abuse/test_lying_issuers.py",
        ],
    ),
    "backups": Part(
        ["mailsettings.domain.backup", "mailsettings.store.backup"],
        [
            "tests/store/test_backups.py",
            "tests/store/test_backup_contents.py",
            "tests/store/test_backup_file.py",
            "tests/store/test_backup_writer.py",
        ],
    ),
    "webhook": Part(["mailsettings.webhook"], ["tests/webhook"]),
    "history": Part(
        ["mailsettings.domain.change", "mailsettings.web.negotiation"],
        ["tests/use_cases/test_history.py", "tests/domain/test_history.py", "tests/dialects/test_conditions.py"],
    ),
    "use_cases": Part(
        ["mailsettings.use_cases"],
        [
            "tests/use_cases",
            "tests/dialects/v1/test_accounts.py",
            "tests/dialects/v1/test_connection_tests.py",
            "tests/dialects/v1/test_devices.py",
            "tests/dialects/v1/test_mail_servers.py",
            "tests/dialects/v1/test_management.py",
            "tests/dialects/v1/test_me.py",
            "tests/store/test_key_registry.py",
            "tests/store/test_audit_filters.py",
            "tests/store/test_audit_log.py",
            "tests/store/test_mail_servers.py",
            "tests/abuse/test_audit_witness.py",
            "tests/abuse/test_hostile_parameters.py",
            "tests/abuse/test_tests_of_others.py",
        ],
    ),
}


def counted(parts: Mapping[str, Part] = PARTS) -> list[str]:
    """Return pytest's options for the run that counts branches, and fails at a missing one."""
    modules = sorted({module for part in parts.values() for module in part.modules})
    count = ["--cov-branch", "--cov-report=term-missing:skip-covered", "--cov-fail-under=100"]
    return [*(f"--cov={module}" for module in modules), *count, *_files(parts)]


def rest(parts: Mapping[str, Part] = PARTS) -> list[str]:
    """Return pytest's options for the run of all other tests."""
    return [f"--ignore={file}" for file in _files(parts)]


def _files(parts: Mapping[str, Part]) -> list[str]:
    """Return whole files and folders, which pytest itself can leave out of the other run."""
    return sorted({test.partition("::")[0] for part in parts.values() for test in part.tests})


if __name__ == "__main__":
    print(*{"counted": counted, "rest": rest}[sys.argv[1]]())
