"""The box: pixels in, findings out, reports delivered.

The ground floor of the project. It owns decoding, preprocessing, the classifier, the bundle format and the wire schema;
`trainer`, `converter` and `doctor` import them from here, so training and serving cannot drift apart.
Read `edge.agent` first.
"""

__all__: list[str] = []
