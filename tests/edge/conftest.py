"""What the box's tests share."""

from collections.abc import Callable

import pytest

from tests.edge.dicom_file import dicom


@pytest.fixture
def make_dicom() -> Callable[..., bytes]:
    """Make a DICOM file of pixels and attributes."""
    return dicom
