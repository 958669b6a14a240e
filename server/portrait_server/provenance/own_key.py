# SPDX-License-Identifier: GPL-3.0-or-later
"""The key that this user's computer signs with where nobody has set another: made at first use, read by its owner alone.

One PEM file holds the private key and its chain: a certificate for signing, and the root that issued it. The root's own key
is thrown away, so that nothing else will ever be issued under it; and nothing in either names the user or the computer.
"""

from __future__ import annotations

import datetime
import os
import secrets
import stat
import sys
import tempfile
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.locks import is_own
from portrait_shared.files.whole_files import open_without_waiting, write_error
from portrait_shared.statement import TOOL

OWN_KEY_FILE: Final = "own.pem"
_MAX_BYTES: Final = 100_000
# What is signed without a time stamp counts only as long as the certificate does.
_YEARS: Final = 40
_CLOCKS_APART: Final = datetime.timedelta(days=2)


def own_key(folder: Path) -> bytes:
    """The file's content; made where there is none. Of several processes that make it at once, all get the same.

    Raises:
        PortraitError: SIGNING_FAILED: it is damaged, another user's, or others may read it; OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    path = folder / OWN_KEY_FILE
    try:
        return read_secret(path)
    except FileNotFoundError:
        pass
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _place(path, _new_key())
        return read_secret(path)
    except OSError as error:
        raise write_error(path, error, "Give back the right to write there.") from error


def read_secret(path: Path) -> bytes:
    """A file that holds a key.

    Raises:
        FileNotFoundError: there is none.
        PortraitError: SIGNING_FAILED: it cannot be read, is another user's, or others may read it.
    """
    try:
        with open(path, "rb", opener=open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_BYTES:
                raise _unusable(path, "is no file of a key", "Put the key there, or delete it.")
            if not is_own(status):
                raise _unusable(path, "belongs to another user", "Sign with a key of your own: delete it.")
            if sys.platform != "win32" and status.st_mode & 0o077:
                raise _unusable(path, "may be read by other users", f"Make it yours alone: chmod 600 {path}")
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise _unusable(path, f"cannot be read: {why}", "Give back the right to read it.") from error


def _unusable(path: Path, why: str, remedy: str) -> PortraitError:
    return PortraitError(ErrorCode.SIGNING_FAILED, f"The key {path} {why}.", remedy)


def _place(path: Path, content: bytes) -> None:
    """Puts the file there at once, unless another process was first."""
    descriptor, new = tempfile.mkstemp(dir=path.parent)  # its owner alone may read it
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.link(new, path)
    except FileExistsError:
        pass
    except OSError:
        if path.exists() or not Path(new).stat().st_size == len(content):
            raise
        os.rename(new, path)  # a file system without links
    finally:
        Path(new).unlink(missing_ok=True)


def _new_key() -> bytes:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    number = secrets.token_hex(4)
    root_name, name = _name(f"Root of key {number}"), _name(f"Key {number}")
    root = (
        _certificate(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = (
        _certificate(name, root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        # One of the purposes that C2PA takes (Technical Specification, "Certificate profile").
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (leaf, root))


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, TOOL), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def _certificate(name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - _CLOCKS_APART
    return (
        x509.CertificateBuilder().subject_name(name).issuer_name(issuer).public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin).not_valid_after(begin + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )  # fmt: skip


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=not signs, crl_sign=not signs, encipher_only=False, decipher_only=False,
    )  # fmt: skip
