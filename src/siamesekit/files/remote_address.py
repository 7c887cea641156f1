"""Addresses of photos on other machines: what lies below a folder there, and addresses without what is secret."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from siamesekit.errors import UserError

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
            "abfss": "adlfs", "http": "aiohttp", "https": "aiohttp", "memory": "fsspec"}  # fmt: skip
"""Protocols, each with the Python package that speaks it, beside fsspec."""
WEB = ("http", "https")
AZURE = ("az", "abfs", "abfss")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_USER = re.compile(r"(?i)\b([a-z][a-z0-9+.-]+://)([^/\s?#]*@)([^/\s?#'\"<>]*)")
_OF_ACCOUNT = re.compile(r"[a-z0-9$][a-z0-9-]{2,62}@([a-z0-9]{3,24})(?:\.(?:dfs|blob)\.core\.windows\.net)?")
"""A container of Azure with its storage account, `CONTAINER@ACCOUNT.dfs.core.windows.net`."""
_QUERY = re.compile(r"(?i)\b(https?://[^\s?#'\"<>]*[?#])[^\s'\"<>]*")
_KEY = re.compile(
    r"(?i)([?&#;](?:(?:[\w.-]*[-_.])?(?:sig|signature|token|secret|credentials?|password|passwd|pwd|auth|authorization"
    r"|sas|jwt|policy|key)|[\w.-]*key-pair-id|\w*(?:access|account|api|secret|shared)_?key(?:_?id)?|\w*accessid)=)"
    r"[^&\s'\"<>]*"
)
"""A parameter of a query whose value may be a key, by its name, such as `sig`, `X-Amz-Signature`, `AWSAccessKeyId`."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
INSTEAD = "give it as the server's programs take it, such as by AWS_ACCESS_KEY_ID, AZURE_STORAGE_SAS_TOKEN or ~/.netrc"
"""Where keys belong, for messages."""
_PATH_SAFE = "/~!$&'()*+,;=:@-._"
"""Characters that a path of a URL holds as they are (RFC 3986, section 3.3), beside letters and digits."""


def is_remote(text: str) -> bool:
    """Whether a text is the address of a photo or folder on another machine, not a path; `file://…` is a path."""
    scheme = _SCHEME.match(text)
    return scheme is not None and scheme[1].lower() != "file"


def refuse_address(path: Path, instead: str) -> None:
    """Refuse an address where a path is expected. As a path, an address has one slash in place of two.

    Args:
        path: the path.
        instead: what to do, for the message.

    Raises:
        UserError: it is an address.
    """
    scheme, colon, rest = path.as_posix().partition(":/")
    if colon and scheme.lower() in PACKAGES:
        shown = without_secrets(f"{scheme}://{rest.lstrip('/')}")
        raise UserError(f"{shown} is on another machine, which this does not read: {instead}")


def without_secrets(text: str) -> str:
    """A text whose addresses have neither users and passwords nor keys in queries; those of the web have no queries."""
    return _KEY.sub(r"\1…", _QUERY.sub(r"\1…", _USER.sub(_without_user, text)))


def refuse_secrets(address: str, instead: str) -> None:
    """Refuse an address with a user, a password or a key, where it would be kept for all to see.

    Args:
        address: the address.
        instead: how to give them, for the message.

    Raises:
        UserError: it has one; the message does not show it.
    """
    if _USER.sub(_without_user, address) != address or _holds_key(address):
        raise UserError(
            f"{without_secrets(address)} has a user, a password or a key, which would be kept for all to see: {instead}"
        )


def without_account(url: str) -> str:
    """An address without the storage account of Azure, `CONTAINER@ACCOUNT`, as fsspec takes it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.partition('@')[0]}{slash}{path}" if scheme in AZURE else url


def _without_user(found: re.Match[str]) -> str:
    """The beginning of an address without user and password; a container of Azure is no user."""
    is_container = _account(found[1][:-3].lower(), f"{found[2]}{found[3]}")
    return found[0] if is_container else f"{found[1]}…@{found[3]}"


def _account(scheme: str, host: str) -> str:
    """The storage account of a container of Azure, `CONTAINER@ACCOUNT`; empty if the host names none."""
    found = _OF_ACCOUNT.fullmatch(host) if scheme in AZURE else None
    return found[1] if found else ""


def _holds_key(path: str) -> bool:
    """Whether a path has what looks like a query with a key."""
    return "?" in path and _KEY.search(path, path.index("?")) is not None


def without_query(text: str) -> str:
    """An address, or the path of one, without users and passwords, up to its query or fragment.

    >>> without_query("ftp://ann:key@host/photos?token=1")
    'ftp://…@host/photos'
    """
    return re.split("[?#]", without_secrets(text))[0]


def place_of(text: Any) -> Path | RemoteFolder:
    """A folder on this machine, or on another one if the text is an address such as `s3://bucket/photos`.

    Raises:
        ValueError: the text is an address that cannot be used; the message says why, without what is secret.
    """
    if isinstance(text, Path | RemoteFolder):
        return text
    if not isinstance(text, str):
        raise ValueError("must be a string")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return Path(text)
    if scheme[1].lower() != "file":
        return RemoteFolder.of(text)
    address = urlsplit(text)
    if address.netloc not in ("", "localhost"):
        raise ValueError(f"{without_secrets(text)} names another machine: write file:///FOLDER")
    from urllib.request import url2pathname  # here, because it takes time to import

    return Path(url2pathname(address.path))


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder on another machine, given by the user: photos are fetched from below it and from nowhere else.

    Attributes:
        url: its address, without a slash at its end.
    """

    url: str

    @classmethod
    def of(cls, text: str) -> RemoteFolder:
        """The folder at an address.

        Raises:
            ValueError: the protocol is not known, or the address has a user, a password, a query, a key, or `..`.
        """
        shown = without_secrets(text)
        scheme, _, rest = text.partition("://")
        scheme = scheme.lower()
        if scheme not in PACKAGES:
            shown = without_query(text)  # other protocols have queries, too
            raise ValueError(f"{shown}: photos are read from {', '.join(f'{name}://' for name in PACKAGES)} or file://")
        host, slash, path = rest.partition("/")
        if "@" in host and not _account(scheme, host):
            raise ValueError(
                f"{shown} has a user or password, which a config would show to all: {INSTEAD}"
                + ("; a container with its account is CONTAINER@ACCOUNT" if scheme in AZURE else "")
            )
        if scheme == "memory":
            host, path = "", f"{host}{slash}{path}".strip("/")
        elif not host:
            raise ValueError(f"{shown} names no {'server' if scheme in WEB else 'bucket'}")
        if scheme in WEB and ("?" in rest or "#" in rest):
            raise ValueError(f"{shown} has a query; the root of photos is a folder, without ? and #")
        if _holds_key(rest):
            raise ValueError(f"{shown} has a key, which a config would show to all: {INSTEAD}")
        if problem := _problem(path, scheme in WEB):
            raise ValueError(f"{shown} {problem}")
        if scheme in WEB:
            host, path = host.lower(), quote(path, safe=f"{_PATH_SAFE}%")
        return cls(f"{scheme}://{'/'.join(part for part in (host, path.rstrip('/')) if part)}")

    @property
    def protocol(self) -> str:
        """The protocol, such as `s3`."""
        return self.url.partition("://")[0]

    @property
    def server(self) -> str:
        """The protocol and the server or bucket, for messages."""
        return "/".join(self.url.split("/")[:3])

    @property
    def account(self) -> str:
        """The storage account of Azure that the address names; empty if it names none."""
        return _account(self.protocol, self.server.partition("://")[2])

    def photo(self, text: str) -> RemotePhoto:
        """The photo that a row of a table names, by its path below the folder or by its whole address.

        In a path below a folder of the web, all characters stand for themselves; an address is taken as it is written.

        Raises:
            ValueError: the photo is not below the folder; the message says so, without what is secret.
        """
        path, query = text.removeprefix("./"), ""
        if is_remote(text):
            scheme, _, rest = text.partition("://")
            host, slash, path = rest.partition("/")
            if scheme.lower() in WEB:
                host = host.lower()
                path, mark, query = path.partition("#")[0].partition("?")
                path, query = quote(path, safe=f"{_PATH_SAFE}%"), quote(mark + query, safe=f"{_PATH_SAFE}%?")
            elif scheme.lower() == "memory":
                host, slash, path = "", "", rest.lstrip("/")
            inside = self.url if self.url.endswith("://") else f"{self.url}/"
            if not f"{scheme.lower()}://{host}{slash}{path}".startswith(inside):
                raise ValueError(self._outside(text))
            path = f"{scheme.lower()}://{host}{slash}{path}"[len(inside) :]
        elif _SCHEME.match(text) or text.startswith(("/", "\\")):
            raise ValueError(self._outside(text))
        if _holds_key(path):
            raise ValueError(
                f"photo {without_secrets(text)} has a key in its path: only whole addresses of the web may have one"
            )
        if not is_remote(text) and self.protocol in WEB:
            path = quote(path, safe=_PATH_SAFE)
        if problem := _problem(path, self.protocol in WEB):
            raise ValueError(f"photo {without_secrets(text)} {problem}")
        return RemotePhoto(self, path, query)

    def _outside(self, text: str) -> str:
        return (
            f"photo {without_secrets(text)} is not below {self.url}, the root that was given: nothing else is fetched"
        )

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class RemotePhoto:
    """A photo below a folder on another machine.

    Attributes:
        folder: the folder.
        path: the path below it, as its address has it.
        query: what follows the path in its address, with its question mark; it may hold a key and is never shown.
    """

    folder: RemoteFolder
    path: str
    query: str = field(default="", repr=False, compare=False)

    @property
    def url(self) -> str:
        """The address, without the query."""
        return f"{self.folder.url}{'' if self.folder.url.endswith('://') else '/'}{self.path}"

    @property
    def below(self) -> str:
        """The path below the folder, in plain characters."""
        return unquote(self.path) if self.folder.protocol in WEB else self.path

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.below.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The suffix of the file's name."""
        return PurePosixPath(self.name).suffix

    def __str__(self) -> str:
        return self.url


def _problem(path: str, of_web: bool) -> str:
    """Why a path below a folder is not used; empty if it may be."""
    for decoded in {path, *([unquote(path), unquote(unquote(path))] if of_web else [])}:
        if _CONTROL.search(decoded):
            return "has a control character"
        if ".." in re.split(r"[/\\]", decoded):
            return "leads upwards by '..'"
    return ""
