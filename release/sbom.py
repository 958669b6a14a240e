# SPDX-License-Identifier: GPL-3.0-or-later
"""What a release is made of, as a CycloneDX bill of materials.

The same release gives the same bytes: neither the time nor a random number is in it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import re
import tomllib
import uuid
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from release.source import ROOT
from release.zips import Built

SPEC_VERSION = "1.6"
LICENCE = "GPL-3.0-or-later"
OWN_WHEELS = ("portrait-shared", "talking-portraits")
_UVS_CRATES = re.compile(r"[^/]+\.dist-info/sboms/[^/]+\.cyclonedx\.json")
_KEPT_OF_CRATES = ("type", "name", "version", "licenses", "purl")
_NATIVE = re.compile(r"[^/]+\.libs/[^/]+|.*\.dylibs/[^/]+")  # where wheels keep the libraries that they bring along
_LICENCE_CHARACTERS = 100  # more is the licence's whole text


def extension_sbom(built: Built, version: str) -> str:
    """Of one of the extension's zips: the wheels in it with the native libraries in those, and the program uv with what
    it is linked from.

    A wheel that was merged of several tells of each, with its hash as the index has it, as what it descends from.

    Returns:
        CycloneDX as JSON.
    """
    content = built.path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".whl"))
        parts = [_wheel(name, archive.read(name)) for name in names]
        programs = [name for name in archive.namelist() if Path(name).stem == "uv" and name.startswith("bin/")]
        parts += [_uv(archive.read(name), built) for name in programs]
    for part in parts:
        if origins := built.origins.get(str(part["bom-ref"])):
            part["pedigree"] = {"ancestors": [_wheel(each.name, each.read_bytes()) for each in origins]}
            for origin in part["pedigree"]["ancestors"]:
                origin.pop("components", None)  # they are told of in the merged one
    made = _component("application", built.path.stem, version, LICENCE) | _hashed(content)
    return _bill(made, parts)


def _uv(program: bytes, built: Built) -> dict[str, Any]:
    """The program, by its wheel's metadata, and the Rust crates in it, by the list that the wheel brings."""
    assert built.uv is not None
    wheel = _wheel(built.uv.name, built.uv.read_bytes())
    with zipfile.ZipFile(built.uv) as archive:
        lists = [json.loads(archive.read(name)) for name in archive.namelist() if _UVS_CRATES.fullmatch(name)]
    made = {key: value for key, value in wheel.items() if key != "components"}
    made |= {"bom-ref": "uv", "type": "application", **_hashed(program), "pedigree": {"ancestors": [wheel]}}
    crates = sorted({json.dumps(crate, sort_keys=True) for each in lists for crate in _crates(each)})
    return made | ({"components": [json.loads(crate) for crate in crates]} if crates else {})


def _crates(bill: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for crate in bill["components"]:
        if crate["purl"].startswith("pkg:cargo/") and "download_url=file:" not in crate["purl"]:
            yield {"bom-ref": f"uv#{crate['purl']}"} | {key: crate[key] for key in _KEPT_OF_CRATES if key in crate}


def server_sbom(version: str) -> str:
    """Of the server: the packages that this environment, in which a release is tested, has of its dependencies, and
    the files of networks that are loaded.

    Returns:
        CycloneDX as JSON.

    Raises:
        importlib.metadata.PackageNotFoundError: one of them is not installed.
    """
    from portrait_server.model_files import ALL

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [_package(found.metadata) for found in _closure(project["dependencies"])]
    models = [
        _component("machine-learning-model", Path(model.place).name) | {"hashes": [_sha256(model.sha256)]}
        | {"description": f"In the package {model.package}"}
        for model in ALL
    ]  # fmt: skip
    return _bill(_component("application", project["name"], version, LICENCE), [*packages, *models])


def _closure(requirements: list[str]) -> list[importlib.metadata.Distribution]:
    """The installed packages that these requirements lead to, by name."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = [(Requirement(text), "") for text in requirements]
    while waiting:
        wanted, extra = waiting.pop()
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": extra}):
            continue
        for chosen in ("", *wanted.extras):
            key = f"{_normal(wanted.name)}[{chosen}]"
            if key not in found:
                found[key] = importlib.metadata.distribution(wanted.name)
                waiting += [(Requirement(text), chosen) for text in found[key].requires or ()]
    by_name = {_normal(each.metadata["Name"]): each for each in found.values()}
    return [by_name[name] for name in sorted(by_name)]


def _wheel(name: str, content: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        about = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        made = _package(BytesParser().parsebytes(archive.read(about))) | _hashed(content)
        native = [each for each in sorted(archive.namelist()) if _NATIVE.fullmatch(each) and not each.endswith("/")]
        libraries = [
            {"bom-ref": f"{made['bom-ref']}#{each}", "type": "library", "name": Path(each).name}
            | _hashed(archive.read(each))
            for each in native
        ]
    made["bom-ref"] = Path(name).name
    return made | ({"components": libraries} if libraries else {})


def _package(about: Message) -> dict[str, Any]:
    """A Python package by its metadata."""
    licence = about["License-Expression"]
    plain = about["License"] or next(
        (each.split(" :: ")[-1] for each in about.get_all("Classifier", []) if each.startswith("License :: ")), ""
    )
    made = _component("library", about["Name"], about["Version"], licence)
    made["bom-ref"] = f"pkg:pypi/{_normal(about['Name'])}@{about['Version']}"
    if _normal(about["Name"]) not in OWN_WHEELS:  # which no index has, or another's of that name
        made["purl"] = made["bom-ref"]
    if licence is None and plain:
        made["licenses"] = [{"license": {"name": plain.splitlines()[0][:_LICENCE_CHARACTERS]}}]
    return made


def _component(kind: str, name: str, version: str | None = None, licence: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"bom-ref": name, "type": kind, "name": name}
    made |= {"version": version} if version else {}
    return made | ({"licenses": [{"expression": licence}]} if licence else {})


def _bill(made: dict[str, Any], components: list[dict[str, Any]]) -> str:
    refs = [each["bom-ref"] for each in components]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "version": 1,
        "metadata": {"component": made},
        "components": components,
        "dependencies": [{"ref": made["bom-ref"], "dependsOn": refs}],
    }
    name = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))
    return json.dumps({"serialNumber": f"urn:uuid:{name}", **bill}, indent=1, ensure_ascii=False) + "\n"


def _hashed(content: bytes) -> dict[str, Any]:
    return {"hashes": [_sha256(hashlib.sha256(content).hexdigest())]}


def _sha256(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


def _normal(name: str) -> str:
    """A project's name as package indexes write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
