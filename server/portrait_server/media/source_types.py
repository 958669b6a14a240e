# SPDX-License-Identifier: GPL-3.0-or-later
"""How a picture was made, in the words of the IPTC: https://cv.iptc.org/newscodes/digitalsourcetype/

`compositeWithTrainedAlgorithmicMedia` is for composites made with what a trained network made up, as by inpainting;
`compositeSynthetic` for those with synthetic elements of any other origin. The engine `warp` moves the photograph's own pixels
by geometry and fills in what they cover: the second. Where networks paint mouth and eyes: the first.
"""

from __future__ import annotations

from typing import Final

SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_WITH_NETWORKS: Final = frozenset({"fewshot"})


def draws_with_networks(engine: str) -> bool:
    """Whether trained networks draw some of an engine's pixels, by its name."""
    return engine in _WITH_NETWORKS


def source_type(networks: bool) -> str:
    """IPTC's URI. Args: networks: whether trained networks drew some of the pixels."""
    return SOURCE_TYPES + ("compositeWithTrainedAlgorithmicMedia" if networks else "compositeSynthetic")
