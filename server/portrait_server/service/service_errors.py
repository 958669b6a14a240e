# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients are told where the service itself fails or ends."""

from __future__ import annotations

from portrait_shared.errors import ErrorCode, PortraitError

from portrait_server.engines.layer_memory import is_out_of_memory
from portrait_server.networks.device_errors import device_error


def as_portrait_error(error: Exception, log_file: str) -> PortraitError:
    """The words for an error that came as another kind: a device's (see `device_error`), the machine's, or a bug's."""
    if (of_device := device_error(error)) is not None:
        return of_device
    if is_out_of_memory(error):
        return PortraitError(
            ErrorCode.IMAGE_TOO_LARGE, "The server ran out of memory.", "Render smaller frames or use a smaller photo."
        )
    return PortraitError(
        ErrorCode.INTERNAL, f"The server failed ({type(error).__name__}: {error}).", f"See its log: {log_file}"
    )


def stopping_error(detail: str = "") -> PortraitError:
    return PortraitError(
        ErrorCode.SERVER_STOPPING, f"The server is stopping.{detail}", "Start it again; what is done stays done."
    )
