# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signs: this computer's own key, or what the user has set in `signing.toml`: a certificate with its key, or with a
command that signs, such as one that asks a PKCS#11 token or a hardware security module.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import platformdirs
from c2pa import C2paSignerInfo, C2paSigningAlg, Signer
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.files.whole_files import read_bounded

from portrait_server.provenance.own_key import OWN_KEY_FILE, own_key, read_secret

log = logging.getLogger(__name__)

SIGNING_VARIABLE: Final = "TALKING_PORTRAITS_SIGNING"
TIME_STAMP_VARIABLE: Final = "TALKING_PORTRAITS_TIME_STAMP_SERVER"
SETTINGS_FILE: Final = "signing.toml"
COMMAND_SECONDS: Final = 120
"""How long a command that signs may take: somebody may have to touch a token."""
_ALGORITHMS: Final = {alg.name.lower(): alg for alg in C2paSigningAlg}
_KEYS: Final = frozenset({"certificates", "key", "command", "algorithm", "time_stamp_server"})
_MAX_FILE_BYTES: Final = 200_000
_MAX_SIGNATURE_BYTES: Final = 4096
_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_CERTIFICATE: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class SigningKey:
    """A certificate chain and what signs for it.

    Attributes:
        certificates: PEM, the one that signs first, its root last.
        key: PEM, unencrypted; empty where `command` signs.
        command: program and arguments; gets the bytes to be signed, and prints the signature.
        time_stamp_server: address of an RFC 3161 server; empty for none.
    """

    certificates: bytes
    key: bytes = field(default=b"", repr=False)
    algorithm: str = "es256"
    command: tuple[str, ...] = ()
    time_stamp_server: str = ""

    def signer(self, failures: list[PortraitError]) -> Signer:
        """What the library signs with.

        Args:
            failures: gets what went wrong in the command, of which the library tells nothing.
        """
        algorithm, stamps = _ALGORITHMS[self.algorithm], self.time_stamp_server or None
        if not self.command:
            stamps_bytes = stamps.encode() if stamps else None
            return Signer.from_info(C2paSignerInfo(algorithm, self.certificates, self.key, stamps_bytes))

        def sign(data: bytes) -> bytes:
            try:
                return self._ask_command(data)
            except PortraitError as error:
                failures.append(error)
                return b""

        return Signer.from_callback(sign, algorithm, self.certificates.decode(), stamps)

    @property
    def certificate(self) -> x509.Certificate:
        """The one that signs."""
        return x509.load_pem_x509_certificates(self.certificates)[0]

    def _ask_command(self, data: bytes) -> bytes:
        try:
            done = subprocess.run(self.command, input=data, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            told = error.strerror or error if isinstance(error, OSError) else f"it did not end in {COMMAND_SECONDS} s"
            raise _failed_command(self.command[0], str(told)) from error
        if done.returncode != 0 or not 0 < len(done.stdout) <= _MAX_SIGNATURE_BYTES:
            said = done.stderr.decode(errors="replace").strip()[-200:]
            raise _failed_command(self.command[0], said or _no_signature(done.returncode, len(done.stdout)))
        return done.stdout


def _no_signature(status: int, size: int) -> str:
    return f"it ended with status {status}, and printed {'nothing' if not size else f'{size:,} bytes, which are no signature'}"


def _failed_command(program: str, why: str) -> PortraitError:
    return PortraitError(
        ErrorCode.SIGNING_FAILED, f"The command that signs, {program}, failed: {why}.",
        f"Try it by itself, see that the token is there, or mend {SETTINGS_FILE}.",
    )  # fmt: skip


def signing_folder() -> Path:
    """Where `signing.toml` and this computer's own key lie."""
    said = os.environ.get(SIGNING_VARIABLE)
    return Path(said) if said else Path(platformdirs.user_data_dir("talking_portraits", False)) / "signing"


def signing_key() -> SigningKey:
    """The user's own where it is set, else this computer's, which is made where there is none.

    Raises:
        PortraitError: SIGNING_FAILED, BAD_CONFIGURATION, FILE_MISSING, OUTPUT_NOT_WRITABLE, DISK_FULL.
    """
    folder = signing_folder()
    settings = _settings(folder)
    stamps = os.environ.get(TIME_STAMP_VARIABLE) or settings.get("time_stamp_server", "")
    if stamps and not stamps.startswith(("http://", "https://")):
        raise _bad(f"the time-stamp server {stamps} is no address", "Give one that begins with https:// or http://.")
    if "certificates" in settings:
        return _users_key(folder, settings, stamps)
    return _own(folder, stamps)


def known_certificates() -> tuple[bytes, frozenset[int]]:
    """By what signatures of this user are recognised: the roots (PEM) of this computer's own key and of the user's
    certificate, as far as there are any, and the serial numbers of the certificates that sign.
    """
    folder = signing_folder()
    chains: list[bytes] = []
    try:
        if (folder / OWN_KEY_FILE).exists():
            chains.append(_own(folder, "").certificates)
        if "certificates" in (settings := _settings(folder)):
            chains.append(_chain(folder, settings))
    except PortraitError as error:
        log.warning("not all signatures of this user can be recognised: %s", error)
    certificates = [x509.load_pem_x509_certificates(chain) for chain in chains]
    roots = b"".join(chain[-1].public_bytes(serialization.Encoding.PEM) for chain in certificates)
    return roots, frozenset(chain[0].serial_number for chain in certificates)


def _own(folder: Path, stamps: str) -> SigningKey:
    path, remedy = folder / OWN_KEY_FILE, "Delete it: a new one is made, and what the old one has signed stays valid."
    key, chain = _parts(own_key(folder), path, remedy)
    if not chain:
        raise PortraitError(ErrorCode.SIGNING_FAILED, f"{path} was cut short.", remedy)
    return SigningKey(chain, key, time_stamp_server=stamps)


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS_FILE
    try:
        said = tomllib.loads(read_bounded(path, _MAX_FILE_BYTES).decode())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _bad(f"{path} cannot be read: {error.strerror}", "Give back the right to read it.") from error
    except ValueError as error:
        raise _bad(f"{path} is not TOML: {error}", "Write it as docs/trust.md shows.") from error
    if unknown := sorted(said.keys() - _KEYS):
        raise _bad(f"{path} says {unknown[0]!r}, which nothing reads", f"Known are {', '.join(sorted(_KEYS))}.")
    for name, value in said.items():
        words = name == "command" and isinstance(value, list) and value and all(isinstance(word, str) for word in value)
        if not words and not (name != "command" and isinstance(value, str) and value):
            raise _bad(f"{name} in {path} is of the wrong kind", "Write it as docs/trust.md shows.")
    if "certificates" in said and ("key" in said) == ("command" in said):
        raise _bad(f"{path} must name either a key or a command", "Give `key` or `command` beside `certificates`.")
    if "certificates" not in said and said.keys() & {"key", "command", "algorithm"}:
        raise _bad(f"{path} names no certificates", "Give `certificates`: the chain, the one that signs first.")
    return said


def _users_key(folder: Path, settings: Mapping[str, Any], stamps: str) -> SigningKey:
    algorithm = settings.get("algorithm", "es256").lower()
    if algorithm not in _ALGORITHMS:
        raise _bad(f"the algorithm {algorithm} is not known", f"Choose one of {', '.join(_ALGORITHMS)}.")
    chain = _chain(folder, settings)
    if "command" in settings:
        return SigningKey(chain, b"", algorithm, tuple(settings["command"]), stamps)
    path = folder / Path(settings["key"]).expanduser()
    try:
        key, _ = _parts(read_secret(path), path, "Give a private key as PEM, without a password; or use `command`.")
    except FileNotFoundError as error:
        raise PortraitError(ErrorCode.FILE_MISSING, f"There is no key {path}.", "Check the path.") from error
    certificate = x509.load_pem_x509_certificates(chain)[0]
    if _public(serialization.load_pem_private_key(key, None)) != _public(certificate):
        raise _bad(
            f"{path} is not the key of the first certificate", "Give both of one pair, the one that signs first."
        )
    return SigningKey(chain, key, algorithm, (), stamps)


def _chain(folder: Path, settings: Mapping[str, Any]) -> bytes:
    path = folder / Path(settings["certificates"]).expanduser()
    try:
        chain = read_bounded(path, _MAX_FILE_BYTES)
        x509.load_pem_x509_certificates(chain)
    except OSError as error:
        raise PortraitError(
            ErrorCode.FILE_MISSING, f"The certificates {path} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    except ValueError as error:
        raise _bad(
            f"{path} holds no certificates: {error}", "Give the chain as PEM, the one that signs first."
        ) from error
    return chain


def _public(holder: Any) -> bytes:
    key: bytes = holder.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return key


def _parts(content: bytes, path: Path, remedy: str) -> tuple[bytes, bytes]:
    """The private key as PKCS #8, and the certificates, of a PEM file.

    Raises:
        PortraitError: SIGNING_FAILED for one without a usable key.
    """
    try:
        key = serialization.load_pem_private_key(b"".join(_PRIVATE.findall(content)[:1]), None)
        chain = b"\n".join(_CERTIFICATE.findall(content))
        if chain:
            x509.load_pem_x509_certificates(chain)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it has a password
        raise PortraitError(ErrorCode.SIGNING_FAILED, f"{path} holds no usable key.", remedy) from error
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form), chain


def _bad(why: str, remedy: str) -> PortraitError:
    return PortraitError(ErrorCode.BAD_CONFIGURATION, f"Nothing can be signed: {why}.", remedy)
