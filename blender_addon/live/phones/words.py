# SPDX-License-Identifier: GPL-3.0-or-later
"""What a phone source says of itself: one sentence of how it is doing, and what is wrong with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .formats import APP, DEFAULT_PORTS, MOCAP, MOTION, VMC
from .live_link_face import VERSION
from .peers import Other, Peers
from .stream import Counts, Stream

ASLEEP_SECONDS: Final = 3.0
"""A phone that sends nothing for so long is told of."""

_UNHEARD_SECONDS: Final = 20.0
_MOST_ADDRESSES: Final = 3


def line(peers: Peers, addresses: Sequence[str], now: float) -> str:
    """How it is doing."""
    stream = peers.stream
    if stream is None or stream.last_packet == float("-inf"):
        whom = f"the phone at {peers.chosen}" if peers.chosen else "a phone"
        places = " or ".join(addresses[:_MOST_ADDRESSES])
        return f"Waiting for {whom} to send to {places}."
    title = _title(stream, peers.chosen)
    silent = now - stream.last_packet
    if silent >= ASLEEP_SECONDS:
        return f"Nothing has come from {title} for {silent:.0f} s."
    if now - stream.last_face >= ASLEEP_SECONDS:
        return f"Hears {title}, which sees no face."
    return f"Hears {title} at {stream.rate(now):.0f}/s."


def problem(peers: Peers, counts: Counts, began: float, port: int, now: float) -> str:
    """What is wrong and what to do about it; empty where nothing is."""
    stream = peers.stream
    found = ""
    if stream is None or stream.last_packet == float("-inf"):
        found = _unheard(peers, began, port, now)
    elif now - stream.last_packet >= ASLEEP_SECONDS:
        found = (
            f"{_title(stream, peers.chosen)} has gone quiet: wake it, bring its app to the front and see that it is in "
            "this network. It is heard again by itself."
        )
    elif now - stream.last_face >= ASLEEP_SECONDS and stream.app == VMC:
        found = "It sends none of ARKit's 52 controls: switch on “Perfect Sync” in its app."
    elif counts.damaged > 100 and counts.damaged > counts.packets / 10:
        found = f"One of ten of its packets or more cannot be read: update {stream.app or 'the app'}, or try another."
    beside = _beside(peers, now) if stream is not None else ""
    return " ".join(part for part in (found, beside) if part)


def _title(stream: Stream, address: str) -> str:
    name = stream.name or "the phone"
    return f"{name} ({stream.app}, {address})" if stream.app else f"{name} ({address})"


def _unheard(peers: Peers, began: float, port: int, now: float) -> str:
    others = peers.others(now)
    phones = [other for other in others if other.app]
    if phones and not peers.chosen:
        return (
            f"{phones[0].title} sends from an address of the open internet, and is not heard: press its button if it is "
            "yours."
        )
    if others and others[0].strange:
        return _strange(others[0])
    if now - began < _UNHEARD_SECONDS:
        return ""
    asked = " It must have been opened before." if port in (DEFAULT_PORTS[MOCAP], DEFAULT_PORTS[MOTION]) else ""
    return (
        f"Nothing has come on port {port}. Type the address and the port into the phone's app, let both be in the same "
        f"network (no guest network, no VPN), and allow Blender in this machine's firewall.{asked}"
    )


def _strange(other: Other) -> str:
    older = f"an older {APP}"
    if other.strange.startswith(older):
        return f"{other.address} sends as {other.strange} does; version {VERSION} is read. Update the app on the phone."
    return (
        f"{other.address} sends what is no face ({other.strange}). Choose one of {', '.join(sorted(DEFAULT_PORTS))} in "
        "the phone's app."
    )


def _beside(peers: Peers, now: float) -> str:
    phones = peers.phones(now)
    if not phones:
        return ""
    if len(phones) == 1:
        return f"{phones[0].title} sends too, and is not heard: press its button to hear it instead."
    names = ", ".join(other.title for other in phones)
    return f"{len(phones)} others send too, and are not heard: {names}. Press a button to hear one instead."
