"""Tokens stand for patients and studies, and only their box can tell for whom."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError
from edge.pseudonym import KEY_NAME, TABLE_NAME, Pseudonyms


def test_a_token_is_the_same_for_the_same_patient_also_after_a_restart(tmp_path: Path):
    """And another one for another patient, another issuer, another box."""
    with Pseudonyms(tmp_path / "a") as pseudonyms:
        token = pseudonyms.token("p", "1234", "clinic")
        others = [pseudonyms.token("p", "1235", "clinic"), pseudonyms.token("p", "1234", "other")]
    with Pseudonyms(tmp_path / "a") as pseudonyms:
        again = pseudonyms.token("p", "1234", "clinic")
    with Pseudonyms(tmp_path / "b") as pseudonyms:
        elsewhere = pseudonyms.token("p", "1234", "clinic")

    assert token == again
    assert len({token, *others, elsewhere}) == 4
    assert token.startswith("p-")
    assert len(token) == 2 + 16


def test_the_box_can_undo_its_tokens(tmp_path: Path):
    """And no other's."""
    with Pseudonyms(tmp_path) as pseudonyms:
        patient, study = pseudonyms.token("p", "1234", "clinic"), pseudonyms.token("s", "1.2.3")

        assert pseudonyms.meaning(patient) == {"PatientID": "1234", "IssuerOfPatientID": "clinic"}
        assert pseudonyms.meaning(study) == {"StudyInstanceUID": "1.2.3"}
        assert pseudonyms.meaning("p-0000000000000000") is None


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_different_identifiers_have_different_tokens(tmp_path_factory, one: tuple[str, str], other: tuple[str, str]):
    """However they are cut: "1", "23" is not "12", "3"."""
    with Pseudonyms(tmp_path_factory.getbasetemp() / "pseudonyms") as pseudonyms:
        assert (pseudonyms.token("p", *one) == pseudonyms.token("p", *other)) == (one == other)


def test_key_and_table_are_this_user_s_alone(tmp_path: Path):
    """Nobody else on the machine can read them."""
    with Pseudonyms(tmp_path) as pseudonyms:
        pseudonyms.token("p", "1234", "")

        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert {KEY_NAME, TABLE_NAME} < set(modes)
    assert set(modes.values()) == {0o600}


def test_all_who_begin_at_once_have_one_key(tmp_path: Path):
    """The pipeline and the page open it in the same moment of a box's first start."""

    def begin(folder: Path, together: Barrier) -> str:
        together.wait()
        with Pseudonyms(folder) as pseudonyms:
            return pseudonyms.token("p", "1234", "")

    with ThreadPoolExecutor(4) as threads:
        for number in range(20):
            folder, together = tmp_path / str(number), Barrier(4)
            tokens = list(threads.map(begin, [folder] * 4, [together] * 4))

            assert len(set(tokens)) == 1
            assert not list(folder.glob("*.part"))


def test_a_damaged_key_is_not_replaced_in_silence(tmp_path: Path):
    """A new one would give every patient a second token."""
    (tmp_path / KEY_NAME).write_bytes(b"short")

    with pytest.raises(ConfigError, match="must be 32 bytes, it has 5"):
        Pseudonyms(tmp_path)
