"""The SMTP password of Amazon SES, derived from the secret access key of an IAM user."""

import base64
import hashlib
import hmac
import re

from mailsettings.domain.values import Secret

_REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}", re.ASCII)
# Fixed values: https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html, "Obtaining SES SMTP credentials by
# converting existing AWS credentials". The date is fixed, too.
_STEPS_AROUND_REGION = ("11111111",), ("ses", "aws4_request", "SendRawEmail")
_VERSION = b"\x04"


def smtp_password(secret_access_key: Secret, region: str) -> Secret:
    """Return the SMTP password for *region*; the user name is the access key id. Raises `ValueError`.

    With the password a program can send mail only; the secret access key never leaves the caller of this function.
    """
    if not _REGION.fullmatch(region):
        raise ValueError("The region must be like eu-central-1.")
    before, after = _STEPS_AROUND_REGION
    signature = f"AWS4{secret_access_key.reveal()}".encode()
    for step in (*before, region, *after):
        signature = hmac.digest(signature, step.encode(), hashlib.sha256)
    return Secret(base64.b64encode(_VERSION + signature).decode())
