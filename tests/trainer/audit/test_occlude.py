"""The two places hide what they should, on phantoms and on real masks, and leave nothing of what they hide."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.phantom import phantom
from trainer.audit.occlude import COVERAGE, border_only, hidden_share, lungs_blanked


def test_nothing_is_left_of_a_hidden_pixel():
    """Two pictures that differ in the hidden place alone look the same, and the rest is as it was."""
    generator = np.random.default_rng(0)
    films = generator.integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    for view in (border_only(), lungs_blanked()):
        films[1] = films[0]
        films[1][view.place] = generator.integers(0, 256, (int(view.place.sum()), 3))

        seen = view(films, ["a", "b"])

        assert np.array_equal(seen[0], seen[1])
        assert np.array_equal(seen[0][~view.place], films[0][~view.place])


def test_the_two_places_have_names_that_say_what_they_are():
    """Features are cached under these names, so they must differ and hold the geometry."""
    names = {border_only().name, lungs_blanked().name}

    assert len(names) == 2
    assert all(str(number) in " ".join(names) for number in (16, 128, 0.34))


def test_the_lungs_of_phantoms_are_hidden():
    """99% of them on average under the patches, and next to none of them in the frame."""
    lungs = [phantom(seed, opacity=False).lungs for seed in range(12)]

    blanked = [hidden_share(lungs_blanked(), mask) for mask in lungs]
    framed = [1 - hidden_share(border_only(), mask) for mask in lungs]

    assert np.mean(blanked) > 0.98
    assert np.mean(framed) < 0.02


@pytest.mark.shared
def test_the_lungs_of_real_films_are_hidden_as_the_page_says(shared: Path):
    """The sentence on the page is what 284 masks say."""
    files = sorted((shared / "data" / "lungmasks").iterdir())
    lungs = [np.asarray(Image.open(file).convert("L")) > 127 for file in files]

    blanked = [hidden_share(lungs_blanked(), mask) for mask in lungs]
    framed = [1 - hidden_share(border_only(), mask) for mask in lungs]

    assert (
        f"On {len(lungs)} X-rays with masks (JSRT, OpenIST) the two patches hide {np.mean(blanked):.1%} of the lungs "
        f"on average and {min(blanked):.0%} in the worst case; {np.mean(framed):.1%} of the lungs lies in the frame on "
        f"average and {max(framed):.0%} in the worst case."
    ) == COVERAGE
