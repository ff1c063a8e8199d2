"""What each error is in this API: the default statuses, and a message."""

from mailsettings.web.errors import ErrorStyle

from .translate import FIELDS

STYLE = ErrorStyle(body=lambda _response, message: {"message": message}, fields=FIELDS)
