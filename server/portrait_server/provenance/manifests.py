# SPDX-License-Identifier: GPL-3.0-or-later
"""A statement in the words of C2PA: what goes into a manifest, before it is bound to a file and signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from portrait_shared import __version__
from portrait_shared.disclosure import WATERMARK_VERSION
from portrait_shared.statement import TOOL, Hashed, Source, SourceKind, Statement

from portrait_server.media.source_types import source_type

STATEMENT_LABEL: Final = "org.talking-portraits.statement"
"""Of the assertion that holds a `Statement`, without its thumbnails, which are the ingredients'."""
FRAMES_TITLE: Final = "frames.sha256"
"""Of the ingredient that holds a sequence's hashes, as `sha256sum` prints them."""
_HASHED: Final = {
    Hashed.PIXELS: "its pixels", Hashed.FILE: "its file", Hashed.SEQUENCE: "the names and contents of its pictures",
}  # fmt: skip


@dataclass
class Manifest:
    """What the library's `Builder` takes.

    Attributes:
        definition: JSON.
        resources: bytes that it names.
    """

    definition: dict[str, Any]
    resources: dict[str, bytes] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return json.dumps(self.definition)

    def bind(self, digest: str) -> None:
        """Binds it to a file by its SHA-256 (hex) alone: for a side-car."""
        bound = {
            "alg": "sha256",
            "name": "whole file",
            "hash": list(bytes.fromhex(digest)),
            "exclusions": [],
            "pad": [],
        }
        self.definition["assertions"].append({"label": "c2pa.hash.data", "data": bound})


@dataclass(frozen=True)
class Parent:
    """Credentials of what a file was made of.

    Attributes:
        title: what it is called. manifest: C2PA manifest store.
        label: of the store's active manifest.
        results: what validating them gave, as the library tells it.
    """

    title: str
    form: str
    manifest: bytes = field(repr=False)
    label: str
    results: Mapping[str, Any] = field(repr=False)


def manifest_of(statement: Statement, title: str, when: str, parent: Parent | None = None) -> Manifest:
    """What is said of frames, a picture or a movie.

    Args:
        title: of the file, without its folder.
        when: ISO 8601.
        parent: of a file that was made of signed frames, or of one that had credentials. Their sources are then not
            named again as ingredients.
    """
    made = Manifest({"claim_generator_info": [{"name": TOOL, "version": __version__}], "title": title})
    ingredients = [_parent(made, parent)] if parent else [*_sources(made, statement), *_weights(statement)]
    opened = [each["label"] for each in ingredients if each["relationship"] == "parentOf"]
    inputs = [each["label"] for each in ingredients if each["relationship"] == "inputTo"]
    made.definition |= {"ingredients": ingredients, "assertions": [
        {"label": "c2pa.actions.v2", "data": {"actions": _actions(statement, when, opened, inputs, parent is not None)}},
        {"label": STATEMENT_LABEL, "data": _without_thumbnails(statement)},
    ]}  # fmt: skip
    if statement.watermark is not None:
        blocks = [{"scope": {}, "value": f"{statement.watermark:08x}"}]
        bound = {"alg": f"org.talking-portraits.{WATERMARK_VERSION}", "blocks": blocks}
        made.definition["assertions"].append({"label": "c2pa.soft-binding", "data": bound})
    return made


def sequence_manifest(statement: Statement, listing: bytes, title: str, when: str) -> Manifest:
    """What is said of a whole sequence. It is bound to the list of its frames' hashes, and holds the list too."""
    made = manifest_of(statement, title, when)
    made.definition["ingredients"].append({
        "title": FRAMES_TITLE, "format": "text/plain", "relationship": "componentOf", "label": "frames",
        "data": {"format": "text/plain", "identifier": FRAMES_TITLE},
    })  # fmt: skip
    made.resources[FRAMES_TITLE] = listing
    made.bind(hashlib.sha256(listing).hexdigest())
    return made


def ingredient_id(digest: str) -> str:
    """What an ingredient that is named by its hash alone is called by."""
    return f"sha256:{digest}"


def _actions(
    statement: Statement, when: str, opened: list[str], inputs: list[str], had_credentials: bool
) -> list[dict[str, Any]]:
    agent = {"softwareAgent": {"name": TOOL, "version": statement.release}, "when": when}
    made = {"digitalSourceType": source_type(statement.networks), **agent}
    inputs_of = {"parameters": {"ingredientIds": inputs}} if inputs else {}
    actions: list[dict[str, Any]]
    if not opened:
        how = f"A photograph was moved by facial landmarks, with the engine {statement.engine}."
        actions = [{"action": "c2pa.created", "description": how, **inputs_of, **made}]
    else:
        how = f"A face was moved by facial landmarks, with the engine {statement.engine}."
        does = "c2pa.transcoded" if had_credentials else "c2pa.edited"
        actions = [
            {"action": "c2pa.opened", "parameters": {"ingredientIds": opened}},
            {"action": does, "description": how, **inputs_of, **made},
        ]
    if statement.watermark is not None and not had_credentials:
        actions.append({"action": "c2pa.watermarked.bound", **agent})
    return actions


def _sources(made: Manifest, statement: Statement) -> list[dict[str, Any]]:
    ingredients, counts = [], {kind: 0 for kind in SourceKind}
    for index, source in enumerate(statement.sources):
        counts[source.kind] += 1
        one = _source(source, counts[source.kind], index)
        if source.thumbnail:
            name = f"source{index}.jpg"
            made.resources[name] = source.thumbnail
            one["thumbnail"] = {"format": "image/jpeg", "identifier": name}
        ingredients.append(one)
    return ingredients


def _source(source: Source, number: int, index: int) -> dict[str, Any]:
    is_parent = source.kind is SourceKind.PLATE and number == 1
    return {
        "title": source.name or f"{source.kind.capitalize()} {number}",
        "relationship": "parentOf" if is_parent else "inputTo",
        "instance_id": ingredient_id(source.digest),
        "description": f"SHA-256 of {_HASHED[source.hashed]}",
        "label": f"source{index}",
    }


def _weights(statement: Statement) -> list[dict[str, Any]]:
    titles = [(digest, "Weights of the networks") for digest in statement.weights]
    if statement.personal:
        titles.append((statement.personal, "Personal file that tuned the networks"))
    return [
        {
            "title": title, "relationship": "inputTo", "instance_id": ingredient_id(digest),
            "description": "SHA-256 of its file", "data_types": [{"type": "c2pa.types.model"}], "label": f"weights{index}",
        }
        for index, (digest, title) in enumerate(titles)
    ]  # fmt: skip


def _parent(made: Manifest, parent: Parent) -> dict[str, Any]:
    made.resources["parent.c2pa"] = parent.manifest
    return {
        "title": parent.title, "format": parent.form, "relationship": "parentOf", "label": "parent",
        "instance_id": ingredient_id(hashlib.sha256(parent.manifest).hexdigest()), "active_manifest": parent.label,
        "manifest_data": {"format": "application/c2pa", "identifier": "parent.c2pa"},
        "validation_results": parent.results,
    }  # fmt: skip


def _without_thumbnails(statement: Statement) -> dict[str, Any]:
    told = statement.as_json()
    told["sources"] = [{k: v for k, v in source.items() if k != "thumbnail"} for source in told.get("sources", [])]
    return told
