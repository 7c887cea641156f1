"""Addresses: what lies below a folder, what does not, and that no secret is shown."""

from pathlib import Path

import pytest

from siamesekit.errors import UserError
from siamesekit.files.remote_address import (
    RemoteFolder,
    is_remote,
    place_of,
    refuse_secrets,
    without_account,
    without_secrets,
)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("s3://bucket/photos/", "s3://bucket/photos"),
        ("s3://bucket", "s3://bucket"),
        ("S3://Bucket/A", "s3://Bucket/A"),
        ("https://HOST:8000/a", "https://host:8000/a"),
        ("https://host/é a%20b", "https://host/%C3%A9%20a%20b"),
        ("memory:///a/b", "memory://a/b"),
        ("memory://", "memory://"),
        ("gs://bucket/a?b#c", "gs://bucket/a?b#c"),  # characters of a key
        ("abfss://photos@acct.dfs.core.windows.net/a/", "abfss://photos@acct.dfs.core.windows.net/a"),
        ("az://photos@acct", "az://photos@acct"),
        ("abfs://photos/a@b", "abfs://photos/a@b"),
    ],
)
def test_a_folder_has_one_address(text: str, url: str) -> None:
    folder = place_of(text)
    assert isinstance(folder, RemoteFolder)
    assert (folder.url, str(folder), place_of(url)) == (url, url, folder)


@pytest.mark.parametrize("text", ["photos", "/a/b", "C:\\photos", "a:b", "hub:owner/name", "file:///a/b%20c"])
def test_paths_are_paths(text: str) -> None:
    assert place_of(text) == Path("/a/b c" if text.startswith("file") else text)
    assert not is_remote(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("https://me:secret@host/a", "has a user or password"),
        ("s3://AKIA:secret@bucket/a", "has a user or password"),
        ("abfss://photos:secret@acct/a", "has a user or password.*CONTAINER@ACCOUNT"),
        ("abfss://SECRET+secret==@acct/a", "has a user or password"),
        ("abfss://secret@acct@evil.com/a", "has a user or password"),
        ("abfss://secret@evil.com/a", "has a user or password"),
        ("s3://secret@acct/a", "has a user or password"),
        ("az://c/a?sv=1&sig=secret", "has a key"),
        ("gs://b/a?X-Goog-Signature=secret", "has a key"),
        ("s3://b/a?AWSAccessKeyId=secret&Expires=1", "has a key"),
        ("memory://a?access_token=secret", "has a key"),
        ("https://host/a?sig=secret", "has a query"),
        ("https://host/a#secret", "has a query"),
        ("ftp://me:secret@host/a?sig=secret", "photos are read from s3://"),
        ("simplecache://x", "photos are read from s3://"),
        ("s3://", "names no bucket"),
        ("https:///a", "names no server"),
        ("s3://bucket/a/../b", "leads upwards"),
        ("https://host/a/%2e%2E/b", "leads upwards"),
        ("https://host/a/%252e%252e/b", "leads upwards"),
        ("s3://bucket/a\nb", "control character"),
        ("file://host/a", "names another machine"),
    ],
)
def test_addresses_that_are_refused_show_no_secret(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        place_of(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("root", "row", "below", "url"),
    [
        ("s3://b/p", "x/1.jpg", "x/1.jpg", "s3://b/p/x/1.jpg"),
        ("s3://b/p", "./x/1.jpg", "x/1.jpg", "s3://b/p/x/1.jpg"),
        ("s3://b/p", "s3://b/p/x/1.jpg", "x/1.jpg", "s3://b/p/x/1.jpg"),
        ("s3://b/p", "a #1?.jpg", "a #1?.jpg", "s3://b/p/a #1?.jpg"),
        ("s3://b/p", "a..b/..c/1.jpg", "a..b/..c/1.jpg", "s3://b/p/a..b/..c/1.jpg"),
        ("https://h/p", "é #1?%.jpg", "é #1?%.jpg", "https://h/p/%C3%A9%20%231%3F%25.jpg"),
        ("https://h/p", "HTTPS://H/p/a%20b.jpg?sig=secret#x", "a b.jpg", "https://h/p/a%20b.jpg"),
        ("https://h/a b", "https://h/a%20b/é.jpg", "é.jpg", "https://h/a%20b/%C3%A9.jpg"),
        ("https://h/a%20b", "https://h/a b/1.jpg", "1.jpg", "https://h/a%20b/1.jpg"),
        ("https://h", "https://h/1.jpg", "1.jpg", "https://h/1.jpg"),
        ("memory://a", "memory:///a/1.jpg", "1.jpg", "memory://a/1.jpg"),
        ("memory://", "a/1.jpg", "a/1.jpg", "memory://a/1.jpg"),
        ("gs://b", "design=1?monkey=2.jpg", "design=1?monkey=2.jpg", "gs://b/design=1?monkey=2.jpg"),
        ("abfss://c123@acct/p", "abfss://c123@acct/p/1.jpg", "1.jpg", "abfss://c123@acct/p/1.jpg"),
        ("abfss://c123@acct/p", "x/1.jpg", "x/1.jpg", "abfss://c123@acct/p/x/1.jpg"),
    ],
)
def test_a_row_names_a_photo_below_the_folder(root: str, row: str, below: str, url: str) -> None:
    photo = RemoteFolder.of(root).photo(row)
    assert (photo.below, photo.url, photo.suffix) == (below, url, ".jpg")
    assert photo.query == ("?sig=secret" if "secret" in row else "")
    assert "secret" not in f"{photo!r} {photo}"


@pytest.mark.parametrize("root", ["s3://b/p", "https://h/p", "memory://p"])
@pytest.mark.parametrize(
    "row",
    [
        "file:///etc/passwd", "/etc/passwd", "\\\\host\\share\\1.jpg", "http://169.254.169.254/latest/meta-data",
        "s3://other/p/1.jpg", "s3://b/p-other/1.jpg", "s3://b/p/../q/1.jpg", "../q/1.jpg", "x/../../q/1.jpg",
        "https://h.evil/p/1.jpg", "https://h@evil/p/1.jpg", "https://me:secret@h/p/1.jpg", "http://h/p/1.jpg",
        "https://h/p/%2e%2e/q/1.jpg", "https://h/p/..%2fq/1.jpg", "https://h/p/..%5cq/1.jpg", "//h/p/1.jpg",
        "memory://q/1.jpg", "simplecache::s3://b/p/../1.jpg", "x/1.jpg\r\nHost: evil", "abfss://c123@acct/p/1.jpg",
        "az://c/p/1.jpg?sig=secret", "x/1.jpg?sv=1&sig=secret", "s3://b/p/1.jpg?X-Amz-Signature=secret",
        "memory://p/1.jpg?token=secret", "1.jpg?AWSAccessKeyId=secret",
    ],
)  # fmt: skip
def test_what_is_not_below_the_folder_is_refused(root: str, row: str) -> None:
    with pytest.raises(
        ValueError, match=r"nothing else is fetched|leads upwards|control character|has a key"
    ) as caught:
        RemoteFolder.of(root).photo(row)
    assert "secret" not in str(caught.value)


def test_a_query_cannot_add_lines_to_a_request() -> None:
    photo = RemoteFolder.of("https://h/p").photo("https://h/p/1.jpg?a=b c%20/d=\r\nHost: evil#x")
    assert photo.query == "?a=b%20c%20/d=%0D%0AHost:%20evil"


def test_secrets_are_masked_in_any_text() -> None:
    text = "GET https://me:pw@h/a.jpg?X-Amz-Signature=abc failed, url=URL('http://h/b?k=v'); s3://k:s@b/a is kept"
    masked = "GET https://…@h/a.jpg?… failed, url=URL('http://h/b?…'); s3://…@b/a is kept"
    assert without_secrets(text) == masked


@pytest.mark.parametrize(
    "name",
    ["sig", "SIG", "signature", "token", "access_token", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
     "AWSAccessKeyId", "GoogleAccessId", "X-Goog-Signature", "Key-Pair-Id", "Policy", "api_key", "api-key", "apikey",
     "key", "client_secret", "password", "auth", "AccountKey", "sas"],
)  # fmt: skip
@pytest.mark.parametrize("before", ["az://c/1.jpg?sv=2&", "az://c/1.jpg?", "photos/1.jpg?", "gs:/b/1.jpg?a=b&"])
def test_keys_of_queries_are_masked_by_their_names(name: str, before: str) -> None:
    assert without_secrets(f"{before}{name}=abC%2B/x=&se=3: no such photo") == f"{before}{name}=…&se=3: no such photo"


def test_a_container_of_azure_is_no_user() -> None:
    text = "abfss://photos@acct.dfs.core.windows.net/a, abfss://me:pw@acct/a, s3://photos@acct/a"
    masked = "abfss://photos@acct.dfs.core.windows.net/a, abfss://…@acct/a, s3://…@acct/a"
    assert without_secrets(text) == masked
    named, plain = (
        RemoteFolder.of(text) for text in ("abfss://photos@acct.blob.core.windows.net/a@b", "az://photos/a")
    )
    assert (named.account, named.server) == ("acct", "abfss://photos@acct.blob.core.windows.net")
    assert (plain.account, RemoteFolder.of("https://host/a").account) == ("", "")
    assert without_account(named.photo("x@y.jpg").url) == "abfss://photos/a@b/x@y.jpg"
    assert without_account("https://a@b/c") == "https://a@b/c"


@pytest.mark.parametrize(
    "address", ["http://me:secret@host:6333", "postgresql://me:secret@host/db", "s3://b/a?token=secret", "a?sig=secret"]
)
def test_what_would_be_kept_is_refused_with_its_secret(address: str) -> None:
    with pytest.raises(UserError, match=r"a user, a password or a key.*: set IT") as caught:
        refuse_secrets(address, "set IT")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "http://localhost:6333", "sqlite:///a?b", "s3://b/a@c", "abfss://c12@acct/a"])
def test_what_has_no_secret_is_kept(address: str) -> None:
    refuse_secrets(address, "set IT")
