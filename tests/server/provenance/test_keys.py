# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signs: this computer's own key, made once and read by its owner alone, or what signing.toml names."""

from __future__ import annotations

import datetime
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from portrait_server.provenance.keys import SETTINGS_FILE, TIME_STAMP_VARIABLE, known_certificates, signing_key
from portrait_server.provenance.own_key import OWN_KEY_FILE, own_key
from portrait_server.provenance.reading import CredentialsState, parse_sequence
from portrait_server.provenance.signing import sign_sequence
from portrait_shared.errors import ErrorCode, PortraitError
from portrait_shared.statement import Statement

STATEMENT = Statement("warp", "warp-1", False)
HASHES = {"0001.png": "a" * 64}
SIGNS = """
import sys
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
key = serialization.load_pem_private_key(open(sys.argv[1], "rb").read(), None)
sys.stdout.buffer.write(key.sign(sys.stdin.buffer.read(), ec.ECDSA(hashes.SHA256())))
"""


def signed() -> tuple[CredentialsState, bool, str]:
    """What is found of what is signed now."""
    found = parse_sequence(sign_sequence(STATEMENT, HASHES))
    assert found is not None
    return found[0].state, found[0].known, found[0].signer


def users(folder: Path) -> tuple[Path, Path]:
    """A certificate chain and its key, as a user brings them."""
    content = own_key(folder / "made")
    begin = content.find(b"-----BEGIN CERTIFICATE")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(content[begin:])
    key.write_bytes(content[:begin])
    key.chmod(0o600)
    return chain, key


def told(folder: Path, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / SETTINGS_FILE).write_text(text, encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_the_key_is_its_owners_alone_and_stays_the_same(signing: Path) -> None:
    assert signing_key() == signing_key()
    assert stat.S_IMODE((signing / OWN_KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in signing.iterdir()] == [OWN_KEY_FILE]


def test_nothing_in_the_certificates_names_a_person_or_a_computer(signing: Path) -> None:
    for certificate in x509.load_pem_x509_certificates(signing_key().certificates):
        names = {each.rfc4514_attribute_name: each.value for each in certificate.subject}
        assert names.keys() == {"O", "CN"} and names["O"] == "Talking Portraits"


def test_processes_that_make_a_key_at_once_get_the_same(signing: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: own_key(signing), range(8)))) == 1
    assert [path.name for path in signing.iterdir()] == [OWN_KEY_FILE]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such rights")
def test_a_key_that_others_may_read_is_refused(signing: Path) -> None:
    own_key(signing)
    (signing / OWN_KEY_FILE).chmod(0o644)
    with pytest.raises(PortraitError, match="read by other users") as refused:
        sign_sequence(STATEMENT, HASHES)
    assert refused.value.code is ErrorCode.SIGNING_FAILED and "chmod 600" in refused.value.remedy


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only the administrator can give files away")
def test_a_key_of_another_user_is_refused(signing: Path) -> None:
    own_key(signing)
    os.chown(signing / OWN_KEY_FILE, 65534, 65534)
    with pytest.raises(PortraitError, match="another user"):
        sign_sequence(STATEMENT, HASHES)


def test_a_certificate_that_is_not_valid_now_is_told_with_its_dates(
    signing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portrait_server.provenance.own_key._CLOCKS_APART", datetime.timedelta(days=700))
    monkeypatch.setattr("portrait_server.provenance.own_key._YEARS", 1)
    end = x509.load_pem_x509_certificates(signing_key().certificates)[0].not_valid_after_utc
    with pytest.raises(PortraitError, match=f"to {end:%Y-%m-%d}") as refused:
        sign_sequence(STATEMENT, HASHES)
    assert refused.value.code is ErrorCode.SIGNING_FAILED and OWN_KEY_FILE in refused.value.remedy


@pytest.mark.parametrize("keep", [0, 100, 300, 900])
def test_a_damaged_key_is_said_and_what_it_signed_still_holds(signing: Path, keep: int) -> None:
    before = sign_sequence(STATEMENT, HASHES)
    (signing / OWN_KEY_FILE).write_bytes((signing / OWN_KEY_FILE).read_bytes()[:keep])
    with pytest.raises(PortraitError) as refused:
        sign_sequence(STATEMENT, HASHES)
    assert refused.value.code is ErrorCode.SIGNING_FAILED and "Delete it" in refused.value.remedy
    found = parse_sequence(before)
    assert found is not None and found[0].state is CredentialsState.VALID and not found[0].known


def test_a_users_certificate_signs_and_what_the_own_key_signed_stays_known(signing: Path, tmp_path: Path) -> None:
    before = sign_sequence(STATEMENT, HASHES)
    chain, key = users(tmp_path)
    told(signing, f'certificates = "{chain.as_posix()}"\nkey = "{key.as_posix()}"\nalgorithm = "es256"\n')
    assert signed()[:2] == (CredentialsState.VALID, True)
    assert signing_key().certificates == chain.read_bytes() and len(known_certificates()[1]) == 2
    found = parse_sequence(before)
    assert found is not None and found[0].known


def test_another_computers_signature_is_not_known_unless_its_root_is_trusted(
    signing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, root = sign_sequence(STATEMENT, HASHES), known_certificates()[0]
    monkeypatch.setenv("TALKING_PORTRAITS_SIGNING", str(tmp_path / "elsewhere"))
    assert signed()[1]
    for trust, known in ((b"", False), (root, True)):
        found = parse_sequence(before, trust)
        assert found is not None and found[0].state is CredentialsState.VALID and found[0].known == known
    with pytest.raises(PortraitError) as refused:
        parse_sequence(before, b"no certificate")
    assert refused.value.code is ErrorCode.BAD_CONFIGURATION


def test_a_command_signs_in_the_keys_place(signing: Path, tmp_path: Path) -> None:
    chain, key = users(tmp_path)
    (tmp_path / "signs.py").write_text(SIGNS, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "signs.py"), str(key)]
    told(signing, f"certificates = '{chain}'\ncommand = {command!r}\n")
    assert signed()[:2] == (CredentialsState.VALID, True)


def test_a_command_that_fails_is_quoted(signing: Path, tmp_path: Path) -> None:
    chain, _ = users(tmp_path)
    for command, words in (
        ([sys.executable, "-c", "import sys; sys.exit('the token is not there')"], "the token is not there"),
        ([sys.executable, "-c", ""], "printed nothing"),
        ([sys.executable, "-c", "print('nonsense')"], "signature"),
        ([str(tmp_path / "no such program")], "No such file"),
    ):
        told(signing, f"certificates = '{chain}'\ncommand = {command!r}\n")
        with pytest.raises(PortraitError, match=words) as refused:
            sign_sequence(STATEMENT, HASHES)
        assert refused.value.code is ErrorCode.SIGNING_FAILED


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("certificates = ", "not TOML"),
        ("colour = 'red'", "which nothing reads"),
        ("certificates = 'chain.pem'", "a key or a command"),
        ("certificates = 'chain.pem'\nkey = 'key.pem'\ncommand = ['sign']", "a key or a command"),
        ("certificates = ['chain.pem']\nkey = 'key.pem'", "wrong kind"),
        ("certificates = 'chain.pem'\ncommand = 'sign'", "wrong kind"),
        ("key = 'key.pem'", "no certificates"),
        ("certificates = 'chain.pem'\nkey = 'key.pem'\nalgorithm = 'md5'", "md5"),
        ("time_stamp_server = 'ftp://example.org'", "is no address"),
        ("certificates = 'no.pem'\nkey = 'key.pem'", "no.pem"),
        ("certificates = 'chain.pem'\nkey = 'no.pem'", "no.pem"),
        ("certificates = 'key.pem'\nkey = 'key.pem'", "no certificates"),
        ("certificates = 'chain.pem'\nkey = 'chain.pem'", "chain.pem"),
        ("certificates = 'chain.pem'\nkey = 'another.pem'", "not the key of"),
        ("certificates = 'chain.pem'\nkey = 'locked.pem'", "no usable key"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said(signing: Path, text: str, words: str) -> None:
    signing.mkdir()
    _, key = users(signing)
    other = own_key(signing / "other")
    (signing / "another.pem").write_bytes(other)
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    (signing / "locked.pem").write_bytes(locked)
    for name in ("another.pem", "locked.pem"):
        (signing / name).chmod(0o600)
    told(signing, text)
    with pytest.raises(PortraitError) as refused:
        signing_key()
    assert words in str(refused.value) and refused.value.remedy


def test_a_time_stamp_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIME_STAMP_VARIABLE, "http://127.0.0.1:9/stamps")
    with pytest.raises(PortraitError) as refused:
        sign_sequence(STATEMENT, HASHES)
    assert "http://127.0.0.1:9/stamps" in refused.value.remedy


def test_nothing_secret_is_printed(signing: Path) -> None:
    assert "PRIVATE" not in repr(signing_key())
    done = subprocess.run(
        [sys.executable, "-c", "from portrait_server.provenance.keys import known_certificates; print(known_certificates())"],
        capture_output=True, text=True, check=True, env={**os.environ},
    )  # fmt: skip
    assert done.stdout.strip().startswith("(b'") and "PRIVATE" not in done.stdout
