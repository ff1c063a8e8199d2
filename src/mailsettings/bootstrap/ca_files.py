"""Files of certificate authorities that settings name: a file that cannot be used stops the start."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from mailsettings.settings import PREFIX, SettingsInvalid


@contextmanager
def loading_ca_file(setting: str) -> Iterator[None]:
    """Turn an error while the file of *setting* is loaded into `SettingsInvalid`."""
    try:
        yield
    except ssl.SSLError as error:
        raise SettingsInvalid(f"{PREFIX}{setting} is not a readable file of certificates in PEM form.") from error
    except OSError as error:
        raise SettingsInvalid(
            f"{PREFIX}{setting} is not a readable file of certificates in PEM form: {error.strerror}."
        ) from error
