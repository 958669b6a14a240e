# SPDX-License-Identifier: GPL-3.0-or-later
"""What the .blend keeps of the ground on which a person is animated: see `portrait_shared.consent`."""

from __future__ import annotations

import datetime
from typing import Final

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty
from portrait_shared.consent import (  # fmt: skip
    NO_CONSENT,
    PERSON_CHARACTERS,
    SCOPE_CHARACTERS,
    Consent,
    Ground,
    new_salt,
    spelled_date,
    today,
)
from portrait_shared.errors import PortraitError

from ..blender.problems import SceneError

_GROUNDS: Final = (
    ("NONE", "No Record", "Say nothing: frames then tell that no consent is on record"),
    ("ONESELF", "Myself", "State that the portrait shows you"),
    ("WRITTEN", "Written Consent", "State that the person has agreed in writing"),
    ("DECEASED", "Died Long Ago", "State that the person died so long ago that nobody near to them is hurt"),
    ("ARTWORK", "Art or Invented", "State that it shows a work of art of nobody living, or an invented face"),
)
_ON_RIG: Final = "talking_portraits_consent"
_KEPT: Final = ("ground", "person", "document", "scope", "until", "child", "put_away", "salt", "recorded")
"""In an order in which all are as they were once each has been set."""


def _changed(consent: PORTRAIT_PG_consent, context: bpy.types.Context) -> None:
    """Anything that is said makes it today's record."""
    if consent.ground != "NONE":
        consent.salt = consent.salt or new_salt()
        consent.recorded = today()
    _follow(consent, context)


def _follow(consent: PORTRAIT_PG_consent, _: bpy.types.Context) -> None:
    for portrait in consent.id_data.talking_portraits.items:
        if portrait.consent == consent:
            keep_on_rig(consent, portrait.rig)


class PORTRAIT_PG_consent(bpy.types.PropertyGroup):
    """On what ground the person is animated, in the user's words; at first nobody has said anything."""

    ground: EnumProperty(
        name="Ground", description="Choose why this person may be animated", items=_GROUNDS, update=_changed
    )
    person: StringProperty(
        name="Person",
        description="Name the person for yourself: the name stays in the .blend, and nobody is told",
        maxlen=PERSON_CHARACTERS,
        update=_changed,
    )
    document: StringProperty(options={"HIDDEN"}, update=_changed)  # SHA-256 of the file: neither its name nor its place
    scope: StringProperty(
        name="Scope",
        description="Write what the likeness may be used for; it stays in the .blend",
        maxlen=SCOPE_CHARACTERS,
        update=_changed,
    )
    until: StringProperty(
        name="Until",
        description="Write the last day on which it may be used, as 2027-12-31; empty where there is no end",
        maxlen=20,
        update=_changed,
    )
    child: BoolProperty(
        name="Child",
        description="State that the person is a child, for whom those responsible agreed",
        update=_changed,
    )
    put_away: BoolProperty(
        name="Put Away", description="Put this question away; the answer can be changed under Consent", update=_follow
    )
    recorded: StringProperty(options={"HIDDEN"})
    salt: StringProperty(options={"HIDDEN"})

    @property
    def record(self) -> Consent:
        """
        Raises:
            PortraitError: SCENE where it cannot be used, such as for an end that is no date.
        """
        if self.ground == "NONE":
            return NO_CONSENT
        try:
            return Consent(
                Ground[self.ground], _printable(self.person), self.document, _printable(self.scope), self.until.strip(),
                self.recorded, self.child, self.salt,
            )  # fmt: skip
        except PortraitError as error:
            raise SceneError(error.message, "Correct it under Consent.") from error

    @property
    def notes(self) -> list[str]:
        """What the user should know of it today, in sentences."""
        try:
            record = self.record
        except PortraitError as error:
            return [f"{error.message} {error.remedy}"]
        if record.ended(datetime.date.today()):
            who = record.person or "the person"
            return [f"The consent of {who} ended on {spelled_date(record.until)}: ask again before you go on."]
        return []


def keep_on_rig(consent: PORTRAIT_PG_consent, rig: bpy.types.Object | None) -> None:
    """Lets a rig carry the record, so that it comes along where the rig is duplicated, appended or linked."""
    if rig is None or rig.library is not None:
        return
    if consent.ground != "NONE" or consent.put_away:
        rig[_ON_RIG] = {name: getattr(consent, name) for name in _KEPT}
    elif _ON_RIG in rig:
        del rig[_ON_RIG]


def take_from_rig(consent: PORTRAIT_PG_consent, rig: bpy.types.Object) -> None:
    """Takes over the record that a rig carries, as far as there is one and it can be used."""
    carried = rig.get(_ON_RIG)
    if not hasattr(carried, "to_dict"):
        return
    values = carried.to_dict()  # a copy: what is set below is kept on the rig at once, in the place of what it carries
    for name in _KEPT:
        if isinstance(value := values.get(name), (bool, int) if name in ("child", "put_away") else str):
            try:
                setattr(consent, name, value)
            except TypeError:  # a ground that a later release knows
                return


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())


CLASSES = (PORTRAIT_PG_consent,)
