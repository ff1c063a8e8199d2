"""What each error is in this API: the default statuses, and a message."""

from mailsettings.web.errors import ErrorStyle

from .translate import FIELDS

STYLE = ErrorStyle(body=lambda error: {"message": error.message}, fields=FIELDS)
