"""Photos in a bucket of a local S3 server: listed, downloaded, replaced, missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from siamesekit.components.readers.csv import read_csv
from siamesekit.components.readers.folder import read_folder
from siamesekit.data.photo_files import UnreadableError, content_of
from siamesekit.data.remote import servers
from siamesekit.errors import DataError, MissingDataError
from siamesekit.files.remote_address import RemoteFolder

pytest.importorskip("s3fs", reason="photos of s3:// need s3fs: pip install 'siamesekit[remote]'")
moto_server = pytest.importorskip("moto.server", reason="needs a local S3 server: pip install 'moto[server]'")
pytestmark = pytest.mark.slow
NAMES = ["seals/a/10.jpg", "seals/a/9.jpg", "seals/b/é #1?%.jpg", "seals-other/c/1.jpg"]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of a server with a bucket `photos`; the environment names the server and keys, as for other programs."""
    import boto3

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(servers, "PAUSES", (0.0,))
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    for number, name in enumerate(NAMES):
        client.put_object(Bucket="photos", Key=name, Body=bytes([number]) * 100)
    servers._filesystem.cache_clear()
    yield client
    servers._filesystem.cache_clear()
    server.stop()


def read(photo: Any) -> bytes:
    with content_of(photo) as content:
        return content


@pytest.mark.usefixtures("bucket")
def test_a_bucket_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    root = RemoteFolder.of("s3://photos/seals")
    records = read_folder(root)
    assert [(each.name, each.individual) for each in records] == [
        ("a/9.jpg", "a"), ("a/10.jpg", "a"), ("b/é #1?%.jpg", "b"),
    ]  # fmt: skip
    assert [read(each.source) for each in records] == [bytes([number]) * 100 for number in (1, 0, 2)]

    asked = []
    monkeypatch.setattr(servers, "download", lambda *arguments: asked.append(arguments))
    assert read(records[0].source) == b"\1" * 100  # kept
    assert asked == []


def test_a_photo_of_a_bucket_that_is_replaced_or_missing(bucket: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("photo,individual\ns3://photos/seals/a/9.jpg,a\na/gone.jpg,a\n")
    there, gone = read_csv(tmp_path / "t.csv", root=RemoteFolder.of("s3://photos/seals"))
    assert read(there.source) == b"\1" * 100
    bucket.put_object(Bucket="photos", Key="seals/a/9.jpg", Body=b"new" * 50)
    assert read(there.source) == b"new" * 50
    with pytest.raises(UnreadableError, match="does not exist on s3://photos"):
        read(gone.source)
    with pytest.raises(UnreadableError, match="is a folder"):
        read(RemoteFolder.of("s3://photos/seals").photo("a"))
    for nowhere in ("s3://photos/none", "s3://no-such-bucket/photos"):
        with pytest.raises((MissingDataError, DataError), match=r"nothing below|does not exist"):
            read_folder(RemoteFolder.of(nowhere))


@pytest.mark.usefixtures("bucket")
def test_a_server_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    servers._filesystem.cache_clear()
    with pytest.raises(DataError, match=r"s3://photos/seals/a/9\.jpg: s3://photos .*in 2 attempts"):
        read(RemoteFolder.of("s3://photos/seals").photo("a/9.jpg"))
