"""Codes for what boxes and readers say, shared by the DICOM and the FHIR export.

SNOMED CT and LOINC where a concept is theirs beyond doubt; else our own code under `99EDGEXRAY`, which says no more
than its word does.
"""

from dataclasses import dataclass
from typing import Final

OWN_SCHEME: Final = "99EDGEXRAY"
OWN_SYSTEM: Final = "urn:edge-xray:finding"


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded concept.

    Attributes:
        value: The code.
        scheme: DICOM's name of the coding scheme: `SCT`, `LN` or our own.
        meaning: In words.
    """

    value: str
    scheme: str
    meaning: str

    @property
    def system(self) -> str:
        """FHIR's name of the coding scheme."""
        return {"SCT": "http://snomed.info/sct", "LN": "http://loinc.org"}.get(self.scheme, OWN_SYSTEM)


CHEST_RADIOGRAPHY: Final = Concept("399208008", "SCT", "Plain X-ray of chest")
IMAGING_REPORT: Final = Concept("18748-4", "LN", "Diagnostic imaging study")

_FINDINGS: Final = {
    "covid": Concept("840539006", "SCT", "COVID-19"),
    "normal": Concept("17621005", "SCT", "Normal"),
    "pneumonia": Concept("233604007", "SCT", "Pneumonia"),
}


def finding(label: str) -> Concept:
    """The concept of a label of a model, of a decision, or of a reader's own word."""
    return _FINDINGS.get(label, Concept(label[:16], OWN_SCHEME, label[:64]))
