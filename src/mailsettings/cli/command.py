"""Commands and groups with the options that all of them share, and the exit codes."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click
from click.core import ParameterSource

FAILED = 1
"""The thing that was asked for failed, such as a connection test or a check of the audit log."""
USAGE = 2
"""An argument, an option or a setting is wrong."""
UNREACHABLE = 3
"""The service or the database cannot be reached or used."""
REFUSED = 4
"""The service refused the request."""

FORMATS = ("table", "json", "yaml", "csv")
_KEY = "mailsettings."
_WHOLE = 1000
"""More characters than any sentence of a help page has."""
_SHARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "output": ("-o", {"type": click.Choice(FORMATS), "help": "The form of the output; table by default."}),
    "url": ("", {"metavar": "URL", "help": "Call the service at this address; by default, work on this machine."}),
    "token_file": ("", {"metavar": "FILE", "help": "A file with an access token for --url."}),
    "client_id": ("", {"metavar": "NAME", "help": "Log in to --url as this client."}),
    "client_secret_file": ("", {"metavar": "FILE", "help": "A file with the secret of --client-id."}),
    "ca_file": ("", {"metavar": "FILE", "help": "Trust only the authorities in this PEM file for --url."}),
}
"""The options of every command that calls the API; they stand before or after the command."""
VARIABLES = {name: f"MAILSETTINGS_{name.upper()}" for name in _SHARED}
"""The variable of each shared option."""
TOKEN_VARIABLE = "MAILSETTINGS_TOKEN"  # noqa: S105  # the name of a variable


def is_from_variable(name: str) -> bool:
    """Return whether a variable chose a shared option, and no option of the command line."""
    return bool(click.get_current_context().meta.get(f"{_KEY}{name}.from_variable"))


class Failure(click.ClickException):
    """Ends the command with the exit code *code* and the sentence *message* on standard error.

    *problem* is the code of the API for it, if the API refused.
    """

    def __init__(self, message: str, code: int = FAILED, problem: str | None = None) -> None:
        # A message may repeat a part of an answer, which could move a cursor.
        super().__init__("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in message))
        self.problem = problem
        self.exit_code = code  # type: ignore[misc]  # a class attribute in click, which reads it of the instance


def chosen(name: str) -> str | None:
    """Return the value of a shared option, from the command line or its variable."""
    value: str | None = click.get_current_context().meta.get(_KEY + name)
    return value


def _remember_json(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001  # of click
    if value:
        ctx.meta[f"{_KEY}output"] = "json"


json_flag = click.option("--json", is_flag=True, expose_value=False, hidden=True, callback=_remember_json)
"""The old spelling of `-o json`."""


class _SharedOption(click.Option):
    """A shared option; `chosen` has its value, and the option after the command has precedence."""

    def __init__(self, name: str, *, reads_variable: bool) -> None:
        short, attributes = _SHARED[name]
        words = [word for word in (short, f"--{name.replace('_', '-')}") if word]
        variable = VARIABLES[name]
        explained = {**attributes, "help": f"{attributes['help']} [{variable}]"}
        envvar = variable if reads_variable else None
        super().__init__(words, envvar=envvar, expose_value=False, callback=_remember, **explained)


def _remember(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.meta[f"{_KEY}{param.name}"] = value
        source = ctx.get_parameter_source(str(param.name))
        ctx.meta[f"{_KEY}{param.name}.from_variable"] = source is ParameterSource.ENVIRONMENT


class _Shared(click.Command):
    """Adds the shared options; a help page lists them apart from the command's own."""

    shared_options: Sequence[click.Option] = [_SharedOption(name, reads_variable=False) for name in _SHARED]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the own parameters, --help, and the shared options."""
        return [*super().get_params(ctx), *self.shared_options]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the own options, then the shared options."""
        own = [param for param in self.get_params(ctx) if param not in self.shared_options]
        for title, params in (("Options", own), ("Output and service", self.shared_options)):
            options = [param for param in params if isinstance(param, click.Option)]
            records = [record for option in options if (record := option.get_help_record(ctx))]
            with formatter.section(title):
                formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class Command(_Shared):
    """A command that calls the API."""


class Group(_Shared, click.Group):
    """Commands that call the API, and perhaps commands of this machine."""

    command_class = Command

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._aliases: dict[str, click.Command] = {}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command with the whole first sentence of its help, which click would cut to one line."""
        commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(_WHOLE)) for name, each in commands.items() if each is not None]
            )

    def add_alias(self, name: str, command: click.Command) -> None:
        """Accept *name* as another spelling of *command*, which help pages do not list."""
        self._aliases[name] = command

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or an alias."""
        return super().get_command(ctx, cmd_name) or self._aliases.get(cmd_name)


class Root(Group):
    """The program: it imports a command when it is used; *places* are `module:name` by command.

    Only here the shared options read their variables, so that an option after the command has precedence.
    """

    shared_options: Sequence[click.Option] = [_SharedOption(name, reads_variable=True) for name in _SHARED]

    def __init__(self, *arguments: Any, places: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._places = places

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; without a terminal, and under NO_COLOR (https://no-color.org), it has no colours."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._places})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; import its module first."""
        if cmd_name not in self._places:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._places[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


class LocalCommand(click.Command):
    """A command that works on this machine only: it refuses --url, and has none of the shared options."""

    ignores_url_variable = False

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless a service is chosen."""
        if chosen("url") and not (self.ignores_url_variable and is_from_variable("url")):
            raise click.UsageError(
                f"`{ctx.command_path}` works on the machine of the service only; "
                f"leave out --url, and unset {VARIABLES['url']}."
            )
        return super().invoke(ctx)


class LocalCommandOfService(LocalCommand):
    """A command of the service itself, which may run where the variable is set for other commands."""

    ignores_url_variable = True
