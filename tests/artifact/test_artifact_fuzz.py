"""A thousand damaged and hostile artifacts: each loads, or is refused by an `ArtifactError` or another `UserError`.

They are loaded in a process of its own with a limit of memory, so that one that takes too much cannot go unnoticed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from fuzzing import bound_memory, bound_time, run_child

COUNT, FIRST = 1000, 200
SECONDS = 2.0
"""Of CPU time that one load may take."""
WALL = 60
"""Seconds after which a load counts as hanging, however busy the machine is."""
ROOM = 512 << 20
"""Bytes of address space beyond what loading the good artifact has taken."""
HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64 - 1, 10**19, 1e308, -1e308, 1e-320, 0.5, "", "x", "a" * 5000,
    "\x1b[2J",
    "../../etc/passwd", "/etc/passwd", "\u0000", "timm/resnet18", "timm/vit_giant_patch14_dinov2", "xception",
    "torchvision/regnet_y_128gf", "timm/resnet18.hf_hub:evil/evil", "timm/../x", "os:system", "timm/*", [], {}, [[]],
    [None], [10**9], [10**9] * 3, [1] * 5000, {"a": {"b": {}}}, {"name": "cosine", "options": {}},
    {"__class__": "os.system"}, {"pretrained": True}, {str(k): k for k in range(2000)}, "pml/lp", "none", "train",
)  # fmt: skip
TEXTS: tuple[bytes, ...] = (
    b"", b"{", b"null", b"[]", b"[" * 100_000, b"[" * 50 + b"]" * 50, b'{"a":' * 100_000, b"[]" * 500_000, b"NaN",
    b'{"format": NaN}', b'{"format": 1e999}', b'{"format": ' + b"9" * 5000 + b"}", b'{"format": 1, "format": 1}',
    b"\xef\xbb\xbf{}", "{}".encode("utf-16"), b'{"a": "\\ud83d"}', b"\xff\xfe", b'"' + b'\\"' * 400_000, b'"' * 900_001,
    b" " * 1_000_001, b'{"format": 1}' + b" " * (1 << 21), b"\x00" * 1000, b"]", b"[}",
    b'{"format": 2}', b'{"format": 1.0}',
)  # fmt: skip


def good(folder: Path) -> Path:
    """A small artifact with all that one can have."""
    from siamesekit.artifact.saving import Preprocessing, save_model
    from siamesekit.model import Architecture, build

    rate = {"value": 0.1, "low": 0.0, "high": None}
    point = {
        "slope": 2.0, "intercept": -1.0, "threshold": 0.5, "criterion": "0.5", "individuals": 4,
        "cross_fit": {"folds": 2, "same_pairs": 9, "different_pairs": 9, "false_accept_rate": rate,
                      "false_reject_rate": rate, "accuracy": rate},
    }  # fmt: skip
    made = Architecture("timm/test_resnet", {}, {"layers": [16, 8]}, "inference")
    stand_in = {"what": "data", "wanted": "a", "used": "b", "why": "c", "hint": "d"}
    save_model(folder, build(made).eval(), made, Preprocessing(32, "pad"), {"name": "cosine", "options": {}}, point,
               {"run": "r", "stand_ins": [stand_in]})  # fmt: skip
    return folder


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values inside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([path] if path else []) + [place for key, each in inner for place in places(each, (*path, key))]


def alter_json(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model.json"
    description = json.loads(file.read_text())
    change(description)
    file.write_text(json.dumps(description))


def alter_weights(folder: Path, content: bytes) -> None:
    """Other weights, whose SHA-256 the description names: the checks behind that one must hold too."""
    (folder / "model.safetensors").write_bytes(content)
    alter_json(folder, lambda d: d.update(weights_sha256=sha256(content).hexdigest()))


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header: dict[str, Any], data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def value(folder: Path, rng: random.Random) -> None:
    def change(d: dict[str, Any]) -> None:
        for _ in range(rng.choice((1, 1, 1, 3))):
            *path, last = rng.choice(places(d))
            inner = d
            for key in path:
                inner = inner[key]
            how = rng.randrange(5)
            if how == 0:
                del inner[last]
            elif how == 1 and isinstance(inner, dict):
                inner[rng.choice(("", "x", "__class__", "pretrained", "a\x1b[2J", "y" * 3000))] = rng.choice(HOSTILE)
            else:
                inner[last] = rng.choice(HOSTILE)

    alter_json(folder, change)


def flipped(folder: Path, rng: random.Random) -> None:
    file = folder / rng.choice(("model.json", "model.safetensors"))
    content = bytearray(file.read_bytes())
    span = len(content) if rng.random() < 0.3 else min(len(content), 6000)
    for _ in range(rng.choice((1, 1, 4, 100))):
        content[rng.randrange(span)] ^= 1 << rng.randrange(8)
    if file.name == "model.json":
        file.write_bytes(content)
    else:
        alter_weights(folder, bytes(content))


def cut(folder: Path, rng: random.Random) -> None:
    file = folder / rng.choice(("model.json", "model.safetensors"))
    content = file.read_bytes()
    content = content[: rng.choice((0, 1, 7, 8, 9, rng.randrange(len(content)), len(content) - 1))]
    if rng.random() < 0.3:
        content = file.read_bytes() + rng.randbytes(rng.choice((1, 8, 5000)))
    if file.name == "model.json":
        file.write_bytes(content)
    else:
        alter_weights(folder, content)


def tensors(folder: Path, rng: random.Random) -> None:
    header, data = header_of((folder / "model.safetensors").read_bytes())
    names = [name for name in header if name != "__metadata__"]
    name, other = rng.choice(names), rng.choice(names)
    entry = header[name]
    how = rng.randrange(9)
    if how == 0:
        header[rng.choice(("x", "", "\x1b[2J", "z" * 100_000, "head.dense9.weight"))] = header.pop(name)
    elif how == 1:
        header[name], header[other] = header[other], entry
    elif how == 2:
        entry["shape"] = rng.choice(
            ([], [0], [2**62, 4], [10**18], [-1], [1] * 5000, entry["shape"][::-1], [*entry["shape"], 1], "x", None)
        )
    elif how == 3:
        entry["dtype"] = rng.choice(("F16", "F64", "I32", "BOOL", "F8_E4M3", "C64", "U64", "X", 3, None))
    elif how == 4:
        begin, end = entry["data_offsets"]
        entry["data_offsets"] = rng.choice(
            (
                [begin, end + 4],
                [end, begin],
                [0, 2**63],
                [2**64 - 4, 2**64 - 1],
                [-4, 0],
                [begin],
                [begin + 4, end + 4],
                [],
            )
        )
    elif how == 5:
        del header[name]
    elif how == 6:
        header["extra"] = {"dtype": "F32", "shape": [1], "data_offsets": [len(data), len(data) + 4]}
        data += b"\0" * 4
    elif how == 7:
        header["__metadata__"] = rng.choice(({}, {"a": "b"}, {"a": 1}, [], "x", {"k" * 10**6: "v"}))
    else:
        header |= {f"t{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(20_000)}
    alter_weights(folder, with_header(header, data))


def header_length(folder: Path, rng: random.Random) -> None:
    content = (folder / "model.safetensors").read_bytes()
    length = rng.choice((0, 1, 2**16, 10**8, 2**31, 2**32, 2**63, 2**64 - 1, len(content), len(content) - 8))
    alter_weights(folder, struct.pack("<Q", length) + content[8:])


def text(folder: Path, rng: random.Random) -> None:
    (folder / "model.json").write_bytes(rng.choice(TEXTS))


def swapped(folder: Path, rng: random.Random) -> None:
    one, other = folder / "model.json", folder / "model.safetensors"
    if rng.random() < 0.5:
        a, b = one.read_bytes(), other.read_bytes()
        one.write_bytes(b), other.write_bytes(a)
    else:
        shutil.copy(one, other)
        digest = sha256(other.read_bytes()).hexdigest()
        alter_json(folder, lambda d: d.update(weights_sha256=digest))


def strange(folder: Path, rng: random.Random) -> None:
    file = folder / rng.choice(("model.json", "model.safetensors"))
    how = rng.randrange(7)
    if how == 6:
        os.truncate(file, 100 << 30)  # a sparse file of 100 GiB
        return
    kept = file.rename(folder / "kept")
    if how == 1:
        os.mkfifo(file)
    elif how == 2:
        file.mkdir()
    elif how == 3:
        file.symlink_to(
            rng.choice(("/etc/passwd", "/dev/zero", "/dev/stdin", "/proc/self/environ", "../out", "nowhere"))
        )
    elif how == 4:
        file.symlink_to(file.name)
    elif how == 5:
        file.symlink_to(kept.name)  # inside: harmless


KINDS: tuple[tuple[Callable[[Path, random.Random], None], int], ...] = (
    (value, 10), (flipped, 5), (cut, 2), (tensors, 6), (header_length, 1), (text, 2), (swapped, 1), (strange, 3),
)  # fmt: skip


def outcome(folder: Path) -> str:
    """What loading gives: the name of a good end, or of an exception that must not be."""
    import torch

    from siamesekit.artifact.loading import load
    from siamesekit.errors import UserError

    try:
        model = load(folder, device="cpu")
        if model.size == 32:
            model.embed(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    except UserError as error:
        told = str(error)
        return (
            type(error).__name__
            if told.replace("\n", "").isprintable() and len(told) < 20_000
            else f"bad text {told!r}"
        )
    except BaseException as error:
        return f"BAD {type(error).__name__}: {error}"
    return "loaded"


def child(base: Path, first: int, last: int) -> dict[str, Any]:
    """Load mutations `first` … `last` − 1: counts by kind and outcome, what must not be, the longest time."""
    assert outcome(base) == "loaded"
    bound_memory(ROOM)
    timed = bound_time(WALL)
    counts: Counter[str] = Counter()
    bad, slowest, times = [], (0.0, ""), []
    for seed in range(first, last):
        rng = random.Random(seed)
        kind = rng.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
        folder = base.parent / "mutant"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        kind(folder, rng)
        found, seconds = timed(partial(outcome, folder))
        times.append(seconds)
        slowest = max(slowest, (seconds, f"{kind.__name__} {seed}"))
        counts[f"{kind.__name__}: {found if not found.startswith(('BAD', 'bad')) else 'BAD'}"] += 1
        if found.startswith(("BAD", "bad")) or seconds > SECONDS:
            bad.append(f"seed {seed}, {kind.__name__}, {seconds:.2f} s: {found[:300]}")
    return {"counts": dict(sorted(counts.items())), "bad": bad, "slowest": slowest, "total": sum(times)}


def fuzz(tmp_path: Path, first: int, last: int) -> dict[str, Any]:
    base = good(tmp_path / "good")
    told, _ = run_child(__file__, base, first, last)
    assert sum(told["counts"].values()) == last - first
    return told


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory by RLIMIT_AS")
@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(0, FIRST, marks=pytest.mark.slow),
        pytest.param(FIRST, COUNT, marks=[pytest.mark.huge, pytest.mark.timeout(1200)]),
    ],
    ids=["first", "the rest"],
)
def test_every_mutant_loads_or_is_refused(tmp_path: Path, first: int, last: int) -> None:
    told = fuzz(tmp_path, first, last)
    assert told["bad"] == []
    outcomes = {name.partition(": ")[2] for name in told["counts"]}
    assert outcomes >= {"loaded", "ArtifactError"}, "mutations that all fail alike would show little"
    assert {name.partition(":")[0] for name in told["counts"]} == {kind.__name__ for kind, _ in KINDS}


if __name__ == "__main__":
    print(json.dumps(child(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
