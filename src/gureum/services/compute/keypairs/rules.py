"""Pure rules of keypairs: what a public key is, and its fingerprint.

Source: compute API reference, keypairs; RFC 4253 section 6.6 (key formats), RFC 8709 (ed25519).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from gureum.foundation import clock
from gureum.foundation.errors import BadRequest

_CERTIFICATE_DAYS = 3650
_USER_PRINCIPAL_NAME = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_UTF8_STRING = 0x0C


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
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise BadRequest("Keypair data is invalid: public_key is not an X.509 certificate.") from error
    digest = hashlib.sha1(certificate.public_bytes(serialization.Encoding.DER), usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 40, 2))


def generate(name: str) -> tuple[str, str]:
    """A new key pair as (private key in OpenSSH's PEM form, public key line). RSA 2048, what every client reads."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return _private(key), f"{public.decode()} {name}".strip()


def generate_certificate(user_id: str) -> tuple[str, str]:
    """A new RSA 2048 key and its self-signed certificate, both PEM: what a Windows guest's WinRM lets a user in with.

    The certificate is for client authentication and names the user as the user principal name USER@localhost.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id[:64])])
    principal = f"{user_id}@localhost".encode()
    encoded = bytes((_UTF8_STRING, len(principal))) + principal
    now = clock.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=_CERTIFICATE_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.OtherName(_USER_PRINCIPAL_NAME, encoded)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _private(key), certificate.public_bytes(serialization.Encoding.PEM).decode()


def _private(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
