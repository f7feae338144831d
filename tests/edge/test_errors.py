"""Errors that differ in what the caller, or whoever watches over the command, is to do."""

import errno
import os

import pytest

from edge.errors import ConfigError, DiskError, unusable


@pytest.mark.parametrize(
    ("number", "kind", "cure"),
    [
        (errno.EACCES, ConfigError, "mind its owner and mode"),
        (errno.ENOTDIR, ConfigError, "mind its owner and mode"),
        (errno.ENOSPC, DiskError, "free disk space"),
        (errno.EIO, DiskError, "replace the disk"),
        (errno.EROFS, DiskError, "replace the disk"),
    ],
)
def test_a_disk_that_may_recover_is_no_mistake_of_a_person(number: int, kind: type[Exception], cure: str):
    """A wrong configuration is not tried again; a full or failing disk is."""
    error = unusable("the state folder /s", OSError(number, os.strerror(number)))

    assert type(error) is kind
    assert f"cannot use the state folder /s: {os.strerror(number)}; " in str(error)
    assert cure in str(error)
