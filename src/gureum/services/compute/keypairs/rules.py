"""Pure rules of keypairs: what a public key is, and its fingerprint.

Source: compute API reference, keypairs; RFC 4253 section 6.6 (key formats), RFC 8709 (ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import load_pem_x509_certificate

from gureum.foundation.errors import BadRequest


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint in colon form that clients of this API compare. Raises BadRequest."""
    parts = public_key.split()
    if len(parts) < 2:
        raise BadRequest("Keypair data is invalid: public_key is not an OpenSSH public key.")
    try:
        serialization.load_ssh_public_key(public_key.strip().encode())
        digest = hashlib.md5(base64.b64decode(parts[1], validate=True), usedforsecurity=False).hexdigest()
    except (ValueError, binascii.Error, UnicodeEncodeError, UnsupportedAlgorithm) as error:
        raise BadRequest("Keypair data is invalid: public_key is not an OpenSSH public key.") from error
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def certificate_fingerprint(pem: str) -> str:
    """The SHA-1 fingerprint of an X.509 certificate. Raises BadRequest."""
    try:
        certificate = load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise BadRequest("Keypair data is invalid: public_key is not an X.509 certificate.") from error
    digest = hashlib.sha1(certificate.public_bytes(serialization.Encoding.DER), usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 40, 2))


def generate(name: str) -> tuple[str, str]:
    """A new key pair as (private key in OpenSSH's PEM form, public key line). RSA 2048, what every client reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} {name}".strip()
