"""The operators that are read without a library are those that TensorFlow Lite's own schema reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.operators import needs
from edge.bundle.bundle import read_bundle
from edge.errors import BundleError
from edge.operators import operators_of


def test_they_are_what_the_schema_says(demo_bundle: Path):
    """Names and versions."""
    model = read_bundle(demo_bundle).model

    found = operators_of(model)

    assert found == needs(model).operators
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "QUANTIZE"} <= set(found)


@given(st.binary(max_size=200))
def test_what_is_no_model_brings_nothing_down(content: bytes):
    """Arbitrary bytes are read as something or refused; unsigned bundles may hold them."""
    try:
        found = operators_of(content)
    except BundleError:
        return
    assert isinstance(found, dict)


def test_an_empty_file_is_refused():
    """With what to do."""
    with pytest.raises(BundleError, match="no TensorFlow Lite file"):
        operators_of(b"")
