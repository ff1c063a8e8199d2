"""The command that makes access tokens on this machine."""

import click

from mailsettings.cli.command import LocalCommand
from mailsettings.cli.local import operator, run
from mailsettings.domain.access import MAX_TOKEN_LIFETIME_SECONDS, new_name_problem


def _new_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Return *name*. Raises `click.BadParameter` if accounts cannot have it."""
    if problem := new_name_problem(name):
        raise click.BadParameter(f"it {problem}")
    return name


class _Permission(click.ParamType[str]):
    """The name of a permission."""

    name = "permission"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, if it exists."""
        from mailsettings.bootstrap.use_cases import GRANTS

        if value not in GRANTS:
            self.fail(f"{value!r} is not one of {', '.join(sorted(GRANTS))}.", param, ctx)
        return value


@click.command(cls=LocalCommand)
@click.option("--subject", default="operator", show_default=True, metavar="NAME", callback=_new_name)
@click.option("--permission", "permissions", multiple=True, required=True, type=_Permission(), metavar="NAME")
@click.option(
    "--expires-in",
    default=3600,
    show_default=True,
    type=click.IntRange(1, MAX_TOKEN_LIFETIME_SECONDS),
    metavar="SECONDS",
    help=f"The lifetime of the token, at most {MAX_TOKEN_LIFETIME_SECONDS} (366 days).",
)
def token(subject: str, permissions: tuple[str, ...], expires_in: int) -> None:
    """Print an access token for all APIs."""
    click.echo(run(lambda backend: backend.issue_token(operator(), subject, permissions, expires_in)).text)
