"""Write the matrix of real mail servers into docs/connection-test.md, from the expectations of `make real`.

python scripts/mail_server_matrix.py            write the matrix
python scripts/mail_server_matrix.py --check    exit with 1 if it is out of date
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "connection-test.md"
_BETWEEN = re.compile(r"(<!-- mail servers -->\n).*(<!-- /mail servers -->)", re.DOTALL)

sys.path.insert(0, str(ROOT / "tests"))
from support.real_mail_servers import SERVERS  # noqa: E402  # the tests are no package of the project


def table() -> str:
    """Return one row for each situation, and a column for each server."""
    titles = list(dict.fromkeys(case.title for server in SERVERS for case in server.cases))
    codes = {(server.name, case.title): case.code for server in SERVERS for case in server.cases}
    head = ["situation", *(server.name for server in SERVERS)]
    rows = [[title, *(_cell(codes, server.name, title) for server in SERVERS)] for title in titles]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]) + "\n"


def _cell(codes: dict[tuple[str, str], str | None], server: str, title: str) -> str:
    if (server, title) not in codes:
        return ""
    code = codes[server, title]
    return "works" if code is None else f"`{code}`"


def main() -> None:
    """Write the matrix, or compare it."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = _BETWEEN.sub(lambda match: f"{match[1]}\n{table()}\n{match[2]}", page)
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != page:
        raise SystemExit("docs/connection-test.md is old: run `python scripts/mail_server_matrix.py`.")


if __name__ == "__main__":
    main()
