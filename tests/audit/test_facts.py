"""Facts of a photo, against plain computations from the decoded pixels."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from planted import gathered, saved, scene

from siamesekit._version import __version__
from siamesekit.audit import gathering as gathering_module
from siamesekit.audit.facts import PhotoFacts, digest_of
from siamesekit.audit.facts_cache import FORM, FactsCache
from siamesekit.data.photo_reading import PLAIN, Reading
from siamesekit.data.records import Box, Record


def facts_of(record: Record) -> PhotoFacts:
    return gathered([record]).facts[record.name]


def test_tones_and_sharpness_are_those_of_the_pixels(tmp_path: Path) -> None:
    image = scene(0)
    found = facts_of(saved(image, tmp_path, "a/1.png"))
    grey = np.asarray(image.convert("L"), np.float64)
    laplacian = [
        grey[y - 1, x] + grey[y + 1, x] + grey[y, x - 1] + grey[y, x + 1] - 4 * grey[y, x]
        for y in range(1, grey.shape[0] - 1)
        for x in range(1, grey.shape[1] - 1)
    ]
    assert found.brightness == pytest.approx(grey.mean())
    assert found.detail == pytest.approx(grey.var())
    assert found.sharpness == pytest.approx(np.var(laplacian) - 20 / 12, rel=1e-5)
    assert found.contrast == pytest.approx(np.asarray(image, np.float64).std(axis=(0, 1)).max())
    assert found.levels == len(np.unique(np.asarray(image)[..., 1]))
    assert abs(np.quantile(grey, 0.05) - found.low) <= 1 and abs(np.quantile(grey, 0.95) - found.high) <= 1


def test_sides_are_those_of_the_upright_photo_or_its_box(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    exif.get_ifd(0x8769)[0x9003] = "2021:03:04 10:15:30"
    record = saved(scene(0, 1600, 1200), tmp_path, "a/1.jpg", exif=exif.tobytes())
    found = facts_of(record)
    assert (found.width, found.height) == (1200, 1600)
    assert found.taken == b"2021:03:04 10:15:30"
    assert found.file_bytes == record.source.stat().st_size  # type: ignore[union-attr]
    half = Record("a/1.jpg", "a", record.source, box=Box(0.25, 0.25, 0.5, 0.5, relative=True))
    assert (facts_of(half).width, facts_of(half).height) == (600, 800)


def test_facts_survive_packing(tmp_path: Path) -> None:
    found = facts_of(saved(scene(1), tmp_path, "a/1.png"))
    assert PhotoFacts.unpacked(found.packed()) == found
    drawn = Record("b", "b", lambda: np.asarray(scene(2)))
    assert facts_of(drawn).file == b""
    assert PhotoFacts.unpacked(facts_of(drawn).packed()) == facts_of(drawn)


def test_a_known_photo_is_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = saved(scene(int.from_bytes(tmp_path.name.encode()[-3:])), tmp_path, "a/1.jpg")
    first = facts_of(record)
    monkeypatch.setattr(gathering_module, "look_at_content", None)  # decoding would fail
    assert facts_of(record) == first
    renamed = Record("other", "b", record.source)
    assert facts_of(renamed) == first
    boxed = Record("a/1.jpg", "a", record.source, box=Box(0, 0, 50, 50))
    with pytest.raises(TypeError):
        facts_of(boxed)


def test_a_photo_that_changes_has_other_facts(tmp_path: Path) -> None:
    first = facts_of(saved(scene(1), tmp_path, "a/1.jpg"))
    second = facts_of(saved(scene(2), tmp_path, "a/1.jpg"))
    assert first.file != second.file and first.thumbnail != second.thumbnail


def test_a_damaged_cache_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache" / "siamesekit").mkdir(parents=True)
    (tmp_path / "cache" / "siamesekit" / "photo-facts.sqlite").write_bytes(b"no database" * 100)
    assert facts_of(saved(scene(1), tmp_path, "a/1.jpg")).width == 160


def test_the_key_depends_on_content_box_and_size() -> None:
    digest, other = digest_of(b"a"), digest_of(b"b")
    box = Box(0, 0, 1, 1)
    keys = {FactsCache.key(d, b, s) for d in (digest, other) for b in (None, box) for s in (64, 128)}
    assert len(keys) == 8


def test_the_key_depends_on_how_photos_are_read_and_without_newer_options_is_that_of_earlier_versions() -> None:
    digest = digest_of(b"a")
    readings = (
        PLAIN,
        Reading(resampling="bicubic"),
        Reading(crop_share=0.8),
        Reading(crop_share=0.9),
        Reading("photo"),
    )
    assert len({FactsCache.key(digest, None, 64, reading) for reading in readings}) == 5
    earlier = "Reading(depth='full', value_range=None, truncated='refuse', max_megapixels=100)"
    text = f"{FORM} {__version__} {digest.hex()} None 64 {earlier}"
    assert FactsCache.key(digest, None, 64) == blake2b(text.encode(), digest_size=16).digest()


def test_unreadable_photos_are_kept_with_the_reason(tmp_path: Path) -> None:
    whole = saved(scene(1), tmp_path, "a/1.jpg")
    (tmp_path / "a" / "2.jpg").write_bytes(b"")
    found = gathered([whole, Record("a/2.jpg", "a", tmp_path / "a" / "2.jpg")])
    assert list(found.facts) == ["a/1.jpg"]
    assert found.unreadable["a/2.jpg"].reason == "is empty (0 bytes)"
