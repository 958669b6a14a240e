# SPDX-License-Identifier: GPL-3.0-or-later
"""What a render in Blender leaves beside its frames: credentials that tell of consent and of all that drew them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

bpy = pytest.importorskip("bpy")

from blender_addon.connection import preferences  # noqa: E402
from blender_addon.jobs import job_queue  # noqa: E402
from tests.blender.test_capture_jobs import video, videos  # noqa: E402, F401
from tests.blender.test_shots_rendered import START, filmed, shot, smile  # noqa: E402, F401

pytestmark = [pytest.mark.usefixtures("without_weights"), pytest.mark.servers_environment]


def statement(portrait: Any, prefix: str = "") -> Any:
    """What the credentials of a portrait's frames state; they must be of these very frames."""
    from portrait_server.provenance.reading import read_sequence
    from portrait_shared.frames.frame_files import credentials_path

    from tests.signed_frames import signed_frames

    assert signed_frames(Path(portrait.folder()), prefix)
    told = read_sequence(credentials_path(Path(portrait.folder()), prefix))
    assert told is not None and told[0].known
    return told[0].statement


def rendered(portrait: Any) -> list[str]:
    """Renders; returns the notes of the job."""
    assert bpy.ops.portrait.render() == {"FINISHED"}
    return list(job_queue.last_of(portrait.uid).notes)


def test_frames_of_a_photo_are_signed_with_the_consent_that_is_on_record(
    needs_server: None, acting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    acting.frame_prefix = "anna."
    rendered(acting)
    first = statement(acting, "anna.")
    assert first.consents == ({"ground": "none"},) and first.engine == "warp" and not first.networks
    assert first.sources[0].digest == acting.photo_digest and not first.sources[0].thumbnail
    assert first.watermark is not None
    acting.consent.ground, acting.consent.person = "ONESELF", "Anna"
    monkeypatch.setattr(preferences._DEFAULTS, "thumbnails", True)
    rendered(acting)
    assert job_queue.last_of(acting.uid).drawn == 0, "a consent changes no pixel"
    then = statement(acting, "anna.")
    assert then.consents[0]["ground"] == "oneself" and "Anna" not in then.to_text() and then.sources[0].thumbnail


def test_frames_that_cannot_be_signed_are_kept_and_why_is_told(
    needs_server: None, acting: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(acting.folder()) / "frames.c2pa").mkdir(parents=True)
    (note,) = [note for note in rendered(acting) if "not signed" in note]
    assert "frames.c2pa" in note and list(Path(acting.folder()).glob("*.png"))
    (Path(acting.folder()) / "frames.c2pa").rmdir()
    monkeypatch.setattr(preferences._DEFAULTS, "credentials", False)
    assert not rendered(acting) and not (Path(acting.folder()) / "frames.c2pa").exists()


def test_changed_frames_of_a_shot_are_signed_by_the_command_that_draws_them(
    filmed: Any, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:  # fmt: skip
    filmed.consent.ground = "WRITTEN"
    smile(filmed, {START + 3: 0.0, START + 5: 0.7, START + 7: 0.0})
    rendered(filmed)
    told = statement(filmed)
    assert told.plate is not None and told.consents[0]["ground"] == "written" and told.watermark is not None
    (Path(filmed.folder()) / "frames.c2pa").unlink()
    (Path(filmed.folder()) / "frames.c2pa").mkdir()
    (note,) = [note for note in rendered(filmed) if "not signed" in note]
    assert "frames.c2pa" in note
    (Path(filmed.folder()) / "frames.c2pa").rmdir()
    monkeypatch.setattr(preferences._DEFAULTS, "credentials", False)
    rendered(filmed)
    assert not (Path(filmed.folder()) / "frames.c2pa").exists()
