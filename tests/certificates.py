"""Certificates for tests, from throw-away authorities."""

import trustme


def authority_pem() -> str:
    """A new authority's certificate."""
    return trustme.CA().cert_pem.bytes().decode()


def key_pem() -> str:
    """A private key, which is no certificate."""
    return trustme.CA().private_key_pem.bytes().decode()
