"""What all tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real X-rays and pretrained weights beside the repository; absent for most people."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs real X-rays and weights in {SHARED.name}/ beside the repository; none are part of it")
    return SHARED
