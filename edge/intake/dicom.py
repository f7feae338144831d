"""DICOM's network side: a receiver of C-STORE and C-ECHO (PS3.4, annexes A and B), by pynetdicom.

It has threads of its own. What arrives goes to the spool as it came; nothing of it is parsed here, so that a hostile
object meets a parser only in the decoder's child process. Invariant: success is answered only once the image is synced
to the disk. The preamble, in which an executable could hide, is never taken over: the file's first 128 bytes are zeros
of our own.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from edge.decoding.decode import MAX_SIZE_BYTES
from edge.errors import ConfigError
from edge.intake.spool import Spool, SpoolFullError
from edge.settings.intake import DicomConfig

SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
"""PS3.4, B.2.3; a sender keeps the image and sends it again."""
STORAGE_CLASSES: Final = (
    "ComputedRadiographyImageStorage",
    "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing",
    "DigitalMammographyXRayImageStorageForPresentation",
    "DigitalMammographyXRayImageStorageForProcessing",
    "DigitalIntraOralXRayImageStorageForPresentation",
    "DigitalIntraOralXRayImageStorageForProcessing",
    "XRayAngiographicImageStorage",
    "XRayRadiofluoroscopicImageStorage",
    "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
)
"""Projection X-ray and secondary capture. What shows no chest, or several frames, is told so after it is decoded."""
_VERIFICATION: Final = "1.2.840.10008.1.1"
_SLACK_BYTES: Final = 1024 * 1024
"""Of the association's own messages around the largest image."""
_MAX_ASSOCIATIONS: Final = 8
_NETWORK_TIMEOUT_S: Final = 60
_ECHO_TIMEOUT_S: Final = 5

log = logging.getLogger(__name__)


@contextmanager
def dicom_receiver(config: DicomConfig, spool: Spool, *, refuses: Callable[[], str | None]) -> Iterator[int]:
    """Receive images into the spool while the context is open.

    Args:
        config: Its port; 0 for any that is free.
        spool: Where the images go.
        refuses: Says why no new image may be taken just now, or None.

    Yields:
        The port.

    Raises:
        ConfigError: pynetdicom is not installed, or the port cannot be opened; the message names the key.
    """
    ae, events = _application_entity(config)
    receiver = _Receiver(spool, refuses)
    try:
        server = ae.start_server(
            (config.bind, config.port or 0),
            block=False,
            evt_handlers=[
                (events.EVT_C_STORE, receiver.store),
                (events.EVT_C_ECHO, lambda _: SUCCESS),
                (events.EVT_DATA_RECV, receiver.count),
                (events.EVT_REJECTED, receiver.rejected),
                (events.EVT_CONN_CLOSE, receiver.closed),
            ],
        )
    except OSError as error:
        raise ConfigError(
            f"cannot receive DICOM images on {config.bind}, port {config.port} ({error.strerror}); "
            "mind dicom.port and dicom.bind"
        ) from error
    port: int = server.server_address[1]
    log.info("receiving DICOM images as %s on %s, port %d", config.ae_title, config.bind, port)
    try:
        yield port
    finally:
        server.shutdown()


class _Receiver:
    """What happens on the associations; each has a thread of its own."""

    def __init__(self, spool: Spool, refuses: Callable[[], str | None]) -> None:
        self._spool = spool
        self._refuses = refuses
        self._received_bytes: dict[Any, int] = {}  # by association, since its last image

    def store(self, event: Any) -> int:
        """Keep one image; the status answers it (PS3.7, annex C)."""
        self._received_bytes.pop(event.assoc, None)
        try:
            if (reason := self._refuses()) is not None:
                log.error("refused a DICOM image: %s", reason)
                return OUT_OF_RESOURCES
            self._spool.put(event.encoded_dataset(), ".dcm")
        except SpoolFullError as error:
            log.error("refused a DICOM image: %s", error)  # noqa: TRY400 - a trace would say no more
            return OUT_OF_RESOURCES
        except OSError as error:
            log.error("could not keep a DICOM image: %s", error.strerror)  # noqa: TRY400 - likewise
            return OUT_OF_RESOURCES
        return SUCCESS

    def count(self, event: Any) -> None:
        """Break an association off whose image outgrows what can be decoded: it is collected in memory."""
        count = self._received_bytes.get(event.assoc, 0) + len(event.data)
        self._received_bytes[event.assoc] = count
        if count > MAX_SIZE_BYTES + _SLACK_BYTES:
            log.warning("broke off a DICOM image of more than %d bytes", MAX_SIZE_BYTES)
            event.assoc.abort()

    def closed(self, event: Any) -> None:
        """Forget an association."""
        self._received_bytes.pop(event.assoc, None)

    @staticmethod
    def rejected(_: Any) -> None:
        """Say that somebody was turned away; a title of theirs is not repeated, it can hold anything."""
        log.warning("turned a DICOM sender away: dicom.allowed lacks its AE title, or too many are connected")


def echo(host: str, port: int, *, calling: str) -> bool:
    """Whether somebody at the address answers as a DICOM node: a C-ECHO, or an association that is turned away.

    Raises:
        ConfigError: pynetdicom is not installed.
    """
    ae, _ = _application_entity(DicomConfig(ae_title=calling))
    ae.acse_timeout = ae.network_timeout = ae.connection_timeout = _ECHO_TIMEOUT_S
    ae.add_requested_context(_VERIFICATION)
    association = ae.associate(host, port)
    if not association.is_established:
        return bool(association.is_rejected)
    status = association.send_c_echo()
    association.release()
    return "Status" in status and status.Status == SUCCESS


def transfer_syntaxes() -> list[str]:
    """UIDs of every transfer syntax whose pixels can be decoded with what is installed."""
    from pydicom.pixels import decoders  # noqa: PLC0415 - optional, and half a second

    found = [getattr(decoders, name) for name in dir(decoders) if name.endswith("Decoder")]
    return sorted(str(decoder.UID) for decoder in found if decoder.is_available)


def _application_entity(config: DicomConfig) -> tuple[Any, Any]:
    try:
        import pydicom.config  # noqa: PLC0415 - optional, and half a second
        from pynetdicom import AE, evt, sop_class  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name not in {"pydicom", "pynetdicom"}:
            raise
        raise ConfigError(
            f"dicom.port is set and {error.name} is not installed; pip install 'edge-xray[dicom]'"
        ) from error
    # Both complain about values that a sender chose, which may be a patient's.
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for library in ("pynetdicom", "pydicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    ae = AE(ae_title=config.ae_title)
    ae.require_calling_aet = list(config.allowed)
    ae.maximum_associations = _MAX_ASSOCIATIONS
    ae.network_timeout = _NETWORK_TIMEOUT_S
    syntaxes = transfer_syntaxes()
    for name in STORAGE_CLASSES:
        ae.add_supported_context(getattr(sop_class, name), syntaxes)
    ae.add_supported_context(_VERIFICATION)
    return ae, evt
