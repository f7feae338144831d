"""Every error this project raises on purpose: one root, split by what the caller does about it.

Messages say what was expected, what came, and what to do next. `exit_code` is what a command ends with.
"""

from typing import ClassVar, Final


class EdgeXrayError(Exception):
    """The root. Catch it at a stage's border, never inside a stage."""

    exit_code: ClassVar[int] = 1


class RetryError(EdgeXrayError):
    """Nothing is wrong with the input; the same call may succeed later."""


class BrokerUnreachableError(RetryError):
    """No MQTT broker answered, or it refused the connection."""

    exit_code = 69


class QuarantineError(EdgeXrayError):
    """This one input is bad; set it aside with the reason and go on with the next."""

    exit_code = 65


class UnreadableImageError(QuarantineError):
    """The bytes are not one decodable still picture within the limits."""


class PoisonError(QuarantineError):
    """Reading this input has ended a process again and again; it is not tried any more."""


class MessageError(QuarantineError):
    """The payload is not a message this version understands."""


class StopError(EdgeXrayError):
    """A person has to change something before this command can work."""


class ConfigError(StopError):
    """The configuration is wrong; the message names the key."""

    exit_code = 78


class BundleError(StopError):
    """The bundle is not what the converter wrote, or nobody whom this box trusts signed it."""

    exit_code = 65


class DataError(StopError):
    """A dataset, model file or other input of a training command is not usable."""

    exit_code = 65


class GateError(StopError):
    """A check that protects a later user has failed; nothing was written, nothing runs."""

    exit_code = 1


class OtherAnswersError(GateError):
    """The model decides otherwise on this box than where it was made; started again it would do so again."""

    exit_code = 70


class DiskError(StopError):
    """The disk is full or fails. It may be well again, so whoever watches over the command starts it again."""

    exit_code = 74


_MISTAKES: Final = (PermissionError, FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)


def unusable(what: str, error: OSError) -> StopError:
    """What ends a command that cannot use a file or folder of its own: a person's mistake, or the disk's fault.

    Args:
        what: Its name, with its path.
        error: As it came.
    """
    if isinstance(error, _MISTAKES):
        return ConfigError(f"cannot use {what}: {error.strerror}; mind its owner and mode")
    return DiskError(f"cannot use {what}: {error.strerror}; free disk space, or replace the disk if it is worn out")
