"""An answered report in FHIR fits the published schema and refers only to what it brings along."""

import json

import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle

from doctor.learning.answered import Answered
from doctor.learning.fhir import fhir_bundle
from edge.wire.messages import NOTICE
from tests.doctor.learning.answers import AT, answered


@pytest.mark.parametrize("decision", ["covid", "normal", "inconclusive", "not-assessable"])
@pytest.mark.parametrize("seen", ["covid", "normal", "tuberculosis", None])
def test_every_kind_of_answer_fits_the_schema(decision, seen):
    """Each resource in the bundle is validated, with every field's type and cardinality."""
    one = answered(1, decision, seen)

    bundle = Bundle.model_validate_json(json.dumps(fhir_bundle(one)))

    kinds = [entry.resource.get_resource_type() for entry in bundle.entry]
    assert kinds == ["DiagnosticReport", "Observation", "Observation", "Device", "Practitioner", "Patient"]


def test_every_reference_leads_to_a_resource_of_the_bundle():
    """A receiver needs nothing else."""
    bundle = fhir_bundle(answered(1, "covid", "covid"))

    def references(node):
        if isinstance(node, dict):
            yield from ([node["reference"]] if "reference" in node else [])
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(bundle))
    assert found
    assert found <= {entry["fullUrl"] for entry in bundle["entry"]}


def test_the_conclusion_is_the_reader_s_and_the_finding_carries_the_notice():
    """The box's finding is preliminary, the reader's is final."""
    one = answered(1, "covid", "normal", patient="p-1")
    one = Answered(one.report, msgspec.structs.replace(one.review, text="Scapula.", new_image=True), AT)

    report, box, reader, *_, patient = (entry["resource"] for entry in fhir_bundle(one)["entry"])

    assert report["conclusion"].splitlines() == [
        "The reader disagrees with the box (covid). Sees: normal.",
        "Scapula.",
        "The picture should be taken again.",
    ]
    assert report["conclusionCode"][0]["coding"][0]["code"] == "17621005"
    assert box["status"] == "preliminary"
    assert {"text": NOTICE} in box["note"]
    assert reader["status"] == "final"
    assert patient["identifier"][0]["value"] == "p-1"


def test_a_changed_answer_amends_the_report():
    """Under the same identifier."""
    one = answered(1, "covid", "normal")
    again = Answered(one.report, msgspec.structs.replace(one.review, revision=2), AT)

    first, second = (fhir_bundle(each)["entry"][0]["resource"] for each in (one, again))

    assert (first["status"], second["status"]) == ("final", "amended")
    assert first["identifier"] == second["identifier"]
