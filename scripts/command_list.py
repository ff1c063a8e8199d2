"""Write the list of commands into docs/command-line.md, from the commands themselves."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from mailsettings.cli import main as program

PAGE = Path(__file__).parents[1] / "docs" / "command-line.md"
_BETWEEN = re.compile(r"(<!-- commands -->\n).*(<!-- /commands -->)", re.DOTALL)


def table() -> str:
    """Return one row for each command, in alphabetical order."""
    rows = ["| command | what it does |", "|---|---|"]
    rows += [
        f"| `{usage}` | {text} |" for usage, text in _commands(program, click.Context(program), "mailsettings")
    ]
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """Return *page* with its list renewed."""
    return _BETWEEN.sub(lambda match: match[1] + table() + match[2], page)


def _commands(group: click.Group, context: click.Context, path: str) -> Iterator[tuple[str, str]]:
    """Yield the usage and the first sentence of the help of each command below *group*."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = click.Context(command, parent=context, info_name=name) if command else context
        if isinstance(command, click.Group):
            yield from _commands(command, below, f"{path} {name}")
        elif command is not None:
            arguments = [
                param.make_metavar(below) for param in command.params if isinstance(param, click.Argument)
            ]
            text = (command.help or "").partition("\n\n")[0].replace("\n", " ").replace("|", "\\|")
            yield " ".join([path, name, *arguments]).replace("|", "\\|"), text


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
