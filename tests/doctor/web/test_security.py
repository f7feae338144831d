"""The proof that a request comes from a page of ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from doctor.web.security import form_token, is_form_token, is_own


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://reading.example", "host": "reading.example"}, False),
        ({"origin": "http://reading.example:8042", "host": "reading.example:8042"}, True),
        ({"origin": "http://evil.example", "host": "reading.example"}, False),
        ({"origin": "null", "host": "reading.example"}, False),
    ],
)
def test_only_our_own_pages_change_something(headers: dict[str, str], *, own: bool):
    """The browser says where a request comes from, and is believed."""
    assert is_own(Headers(headers)) is own


@given(st.text(), st.text())
def test_a_token_is_good_for_its_session_alone(session: str, other: str):
    """Any text may come in either place; only the token of this very session passes."""
    assert is_form_token(session, form_token(session))
    assert is_form_token(session, form_token(other)) == (session == other)
    assert not is_form_token(session, other)
