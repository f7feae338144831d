"""An answered report as a FHIR R4 `Bundle`: a `DiagnosticReport` with all that it refers to.

Plain JSON: a library's classes would be a dependency of everybody's for what is one dictionary. The tests check it
against the published schema of each resource. Patients are the box's tokens; no name ever left the box.
"""

from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from doctor.learning.answered import Answered
from doctor.learning.terminology import CHEST_RADIOGRAPHY, IMAGING_REPORT, OWN_SYSTEM, Concept, finding
from edge.wire.messages import NOTICE

Resource = dict[str, Any]

_RADIOLOGY: Final = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "RAD", "display": "Radiology"},
    ]
}


def fhir_bundle(answered: Answered) -> Resource:
    """Say an answered report in FHIR R4. The same report gives the same document."""
    resources = [
        _diagnostic_report(answered),
        _box_finding(answered),
        _reader_finding(answered),
        _device(answered),
        {"resourceType": "Practitioner", "name": [{"text": answered.review.reader}]},
        _patient(answered),
    ]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": answered.review.at.isoformat(),
        "entry": [
            {"fullUrl": _url(answered, name), "resource": resource}
            for name, resource in zip(
                ("report", "box-finding", "reader-finding", "device", "reader", "patient"), resources, strict=True
            )
        ],
    }


def _diagnostic_report(answered: Answered) -> Resource:
    review = answered.review
    return {
        "resourceType": "DiagnosticReport",
        "identifier": [{"system": "urn:edge-xray:report", "value": answered.report.id}],
        "status": "final" if review.revision == 1 else "amended",
        "category": [_RADIOLOGY],
        "code": _concept(IMAGING_REPORT),
        "subject": _reference(answered, "patient"),
        "effectiveDateTime": answered.report.received_at.isoformat(),
        "issued": review.at.isoformat(),
        "performer": [_reference(answered, "reader")],
        "resultsInterpreter": [_reference(answered, "reader")],
        "result": [_reference(answered, "box-finding"), _reference(answered, "reader-finding")],
        "conclusion": _conclusion(answered),
        **({} if answered.seen is None else {"conclusionCode": [_concept(finding(answered.seen))]}),
    }


def _box_finding(answered: Answered) -> Resource:
    report = answered.report
    reason = {"dataAbsentReason": {"text": report.reason}} if report.reason else {}
    return {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [_imaging()],
        "code": _concept(CHEST_RADIOGRAPHY),
        "subject": _reference(answered, "patient"),
        "effectiveDateTime": report.received_at.isoformat(),
        "device": _reference(answered, "device"),
        **(reason or {"valueCodeableConcept": _concept(finding(report.decision))}),
        "note": [{"text": NOTICE}, {"text": f"Not validated on: {report.model.not_validated_on}"}],
        **({"component": _probabilities(answered)} if report.probabilities else {}),
    }


def _reader_finding(answered: Answered) -> Resource:
    review = answered.review
    seen = answered.seen
    value = {"dataAbsentReason": {"text": "the reader cannot judge the picture"}} if seen is None else {}
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [_imaging()],
        "code": _concept(CHEST_RADIOGRAPHY),
        "subject": _reference(answered, "patient"),
        "effectiveDateTime": review.at.isoformat(),
        "performer": [_reference(answered, "reader")],
        **(value or {"valueCodeableConcept": _concept(finding(str(seen)))}),
        **({"note": [{"text": review.text}]} if review.text else {}),
    }


def _probabilities(answered: Answered) -> list[Resource]:
    return [
        {
            "code": {
                "coding": [{"system": OWN_SYSTEM, "code": "probability"}],
                "text": f"probability of {label} given by the model",
            },
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org", "code": "1"},
        }
        for label, value in answered.report.probabilities.items()
    ]


def _device(answered: Answered) -> Resource:
    report = answered.report
    return {
        "resourceType": "Device",
        "identifier": [{"system": "urn:edge-xray:box", "value": f"{report.site}/{report.device}"}],
        "manufacturer": "edge-xray",
        "deviceName": [{"name": report.model.id, "type": "model-name"}],
        "version": [{"value": report.model.sha256}],
        "note": [
            {"text": f"Validated on: {report.model.validated_on}"},
            {"text": "Signed by a key the box trusts." if report.model.signed else "Not signed by a trusted key."},
        ],
    }


def _patient(answered: Answered) -> Resource:
    token = answered.report.patient or f"unknown-{answered.report.id[:16]}"
    return {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:edge-xray:{answered.report.site}", "value": token}],
    }


def _conclusion(answered: Answered) -> str:
    review = answered.review
    said = {"agree": "The reader agrees with the box", "disagree": "The reader disagrees with the box"}.get(
        str(review.verdict), "The reader cannot judge the picture"
    )
    lines = [f"{said} ({answered.report.decision})." + (f" Sees: {answered.seen}." if answered.seen else "")]
    lines += [review.text] if review.text else []
    lines += ["The picture should be taken again."] if review.new_image else []
    lines += ["The clinic should call the reader at once."] if review.call_back else []
    return "\n".join(lines)


def _imaging() -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {"coding": [{"system": system, "code": "imaging", "display": "Imaging"}]}


def _concept(concept: Concept) -> Resource:
    coding = {"system": concept.system, "code": concept.value, "display": concept.meaning}
    return {"coding": [coding], "text": concept.meaning}


def _reference(answered: Answered, name: str) -> Resource:
    return {"reference": _url(answered, name)}


def _url(answered: Answered, name: str) -> str:
    report = answered.report
    return f"urn:uuid:{uuid5(NAMESPACE_URL, f'urn:edge-xray:{report.site}:{report.device}:{report.id}:{name}')}"
