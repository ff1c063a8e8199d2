"""The page docs/v1.md lists every code of a problem; `tests/test_readme.py` runs its commands."""

import re
from pathlib import Path

from mailsettings.dialects.v1.problems import CODES, STYLE
from mailsettings.web.errors import STATUSES

PAGE = (Path(__file__).parents[3] / "docs" / "v1.md").read_text(encoding="utf-8")


def test_the_page_lists_every_code_with_its_status() -> None:
    listed = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|$", PAGE, flags=re.MULTILINE))
    answers = [STYLE.answer_to(kind) for kind in (*STATUSES, *STYLE.answers)]

    assert {each.code: str(each.status) for each in answers} == listed
    assert set(CODES) == set(listed)
