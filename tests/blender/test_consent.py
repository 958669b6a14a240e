# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose likeness it is: asked for once, kept with the portrait whatever becomes of it, and nothing is made up."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from portrait_shared.consent import NO_CONSENT, Ground

bpy = pytest.importorskip("bpy")

from blender_addon.blender import problems  # noqa: E402
from blender_addon.blender.problems import SceneError  # noqa: E402
from blender_addon.interface.panels import consent_panel  # noqa: E402
from blender_addon.portraits import age_estimate, portrait_copies, portrait_parts  # noqa: E402
from blender_addon.portraits.scene_portraits import portraits_of  # noqa: E402
from blender_addon.render.photo_inputs import PhotoInputs  # noqa: E402
from tests.blender.test_panels import drawn  # noqa: E402


def agree(portrait: Any) -> None:
    portrait.consent.ground = "WRITTEN"
    portrait.consent.person = "Anna Nuñez"
    portrait.consent.until = "2027-12-31"
    portrait.consent.document = "ab" * 32
    portrait.consent.child = True


def test_nobody_is_said_to_have_agreed_until_somebody_says_so(portrait: Any) -> None:
    assert portrait.consents == (NO_CONSENT,)
    agree(portrait)
    (record,) = portrait.consents
    assert record.ground is Ground.WRITTEN and record.until == "2027-12-31" and record.document == "ab" * 32
    assert record.person == "Anna Nuñez" and record.child
    assert record.recorded == datetime.datetime.now(datetime.UTC).date().isoformat() and len(record.salt) == 32
    assert portrait.consents == (record,), "the same record each time, and so the same hash in each file"
    portrait.consent.ground = "NONE"
    assert portrait.consents == (NO_CONSENT,)


def test_it_is_asked_for_once_then_kept_in_its_section(portrait: Any) -> None:
    assert "Whose likeness" in drawn() and not consent_panel.PORTRAIT_PT_consent.poll(bpy.context)
    portrait.consent.put_away = True
    assert "Whose likeness" not in drawn() and consent_panel.PORTRAIT_PT_consent.poll(bpy.context)
    assert "ground" in drawn()


def test_a_portrait_without_a_face_is_not_asked_about(scene: Any, photo_file: Path) -> None:
    portrait_parts.add(scene, str(photo_file))
    assert "Whose likeness" not in drawn()


def test_of_the_document_only_its_hash_is_kept(portrait: Any, tmp_path: Path) -> None:
    file = tmp_path / "anna's letter.txt"
    file.write_bytes(b"I agree")
    portrait.consent.ground = "WRITTEN"
    assert bpy.ops.portrait.choose_consent(filepath=str(file)) == {"FINISHED"}
    assert portrait.consent.document == hashlib.sha256(b"I agree").hexdigest() and "portrait.forget_consent" in drawn()
    assert bpy.ops.portrait.forget_consent() == {"FINISHED"} and not portrait.consent.document
    with pytest.raises(RuntimeError, match="letter2"):
        bpy.ops.portrait.choose_consent(filepath=str(tmp_path / "letter2.txt"))
    assert problems.last(portrait.uid) is not None


def test_an_end_that_is_past_is_said_where_it_renders(portrait: Any) -> None:
    agree(portrait)
    assert not PhotoInputs(bpy.context.scene, portrait, [1]).notes
    portrait.consent.until = "2020-05-01"
    (note,) = PhotoInputs(bpy.context.scene, portrait, [1]).notes
    assert "Anna Nuñez ended on 1 May 2020" in note and note in drawn().replace("\n", " ")


def test_an_end_that_is_no_date_is_told_with_its_remedy(portrait: Any) -> None:
    agree(portrait)
    portrait.consent.until = "in May"
    with pytest.raises(SceneError, match="in May"):
        _ = portrait.consents
    assert "not a date as 2027-12-31" in drawn().replace("\n", " ")
    portrait.consent.until, portrait.consent.document = "", "letter.pdf"
    with pytest.raises(SceneError, match="letter") as caught:
        _ = portrait.consents
    assert "Consent" in caught.value.remedy


def test_a_child_and_a_filmed_person_get_a_sentence_more(portrait: Any) -> None:
    assert "responsible" not in drawn() and "filmed" not in drawn()
    portrait.consent.ground, portrait.consent.child = "WRITTEN", True
    portrait.shot.path = "//shot.mp4"
    assert "responsible" in drawn() and "may be a child" not in drawn() and "agreed to be filmed" in drawn()


def with_proportion(face: np.ndarray, proportion: float) -> np.ndarray:
    """The face, longer or shorter below its eyes."""
    made, eyes = face.copy(), face[36, 1]
    below = face[:, 1] > face[[36, 39, 42, 45], 1].mean()
    made[below, 1] = eyes + (face[below, 1] - eyes) * proportion / age_estimate.proportion(face)
    made[:, 2] = np.linspace(0, 1, 70)
    return made


def test_a_face_of_a_childs_proportions_gets_that_sentence(portrait: Any, face: np.ndarray) -> None:
    portrait.set_detected_points(with_proportion(face, 0.87))
    assert "This may be a child" not in drawn()
    portrait.set_detected_points(with_proportion(face, 0.7))
    assert "This may be a child" in drawn()
    portrait.consent.ground = "ARTWORK"
    assert "child" not in drawn().replace("\nchild\n", "\n"), "of a painting nothing but the field is left"


def test_the_estimate_is_of_proportions_in_depth(face: np.ndarray) -> None:
    short, tall = with_proportion(face, 0.7), with_proportion(face, 0.87)
    assert age_estimate.may_be_child(short) and not age_estimate.may_be_child(tall)
    assert age_estimate.may_be_child(short * 3), "whatever the picture's size"
    short[:, 2] = 0
    assert not age_estimate.may_be_child(short), "a bowed head without depth tells nothing"


def test_it_lasts_through_files_and_a_copied_scene(portrait: Any, tmp_path: Path) -> None:
    agree(portrait)
    record = portrait.consents
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "again.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "again.blend"))
    assert portraits_of(bpy.context.scene).items[0].consents == record
    bpy.ops.scene.new(type="FULL_COPY")
    portrait_copies.separate()
    assert portraits_of(bpy.context.scene).items[0].consents == record


def test_it_comes_with_a_rig_that_is_duplicated_or_appended(portrait: Any, tmp_path: Path) -> None:
    agree(portrait)
    record = portrait.consents
    copy = portrait.rig.copy()
    copy.data = portrait.rig.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    assert portrait_copies.adopt(bpy.context.scene, copy).consents == record
    plane, rig = portraits_of(bpy.context.scene).items[0].plane.name, portraits_of(bpy.context.scene).items[0].rig.name
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    with bpy.data.libraries.load(str(tmp_path / "library.blend")) as (_, wanted):
        wanted.objects = [plane, rig]
    for item in wanted.objects:
        bpy.context.scene.collection.objects.link(item)
    assert portrait_copies.adopt(bpy.context.scene, wanted.objects[1]).consents == record


def test_each_face_of_a_picture_has_its_own(portrait: Any, face: np.ndarray) -> None:
    agree(portrait)
    uid, record = portrait.uid, portrait.consents[0]
    added = portrait_parts.add_face(bpy.context, uid, face + np.float32([500, 0, 0]))
    assert added.consents == (record, NO_CONSENT)
    added.consent.ground = "ARTWORK"
    other = added.consent.record
    portrait_parts.remove(bpy.context.scene, uid)
    assert portraits_of(bpy.context.scene).items[0].consents == (other,)
