"""A small dialect to start a new one from: a list of configurations, PATCH, and errors as `{message}`.

It follows SonarQube's Web API v2, "Email configurations", without what only that vendor stores. The test
`tests/dialects/test_new_dialect.py` adds it to a copy of the sources, as docs/architecture.md says.
"""

from mailsettings.domain.access import ALL_MAIL_SERVER_PERMISSIONS
from mailsettings.web.dialect import Dialect
from mailsettings.web.normalization import paths_below

from .errors import STYLE
from .routes import PATH, TAG, router

TOY = Dialect(
    name="toy",
    title="Toy style",
    description="Email configurations, as a client of the toy vendor knows them.",
    routers=[router],
    errors=STYLE,
    match_path=paths_below(PATH),
    # The vendor's name for the permission that it demands of administrators.
    grants={"administer-system": ALL_MAIL_SERVER_PERMISSIONS},
    tags={TAG: "Read and change the email configurations."},
)
