"""Requests to the Hugging Face hub that publish files, each with a bounded wait.

The protocol is that of huggingface_hub, whose own upload waits without end for a hub that stands still, unless a
setting of the whole process is changed.
"""

from __future__ import annotations

import base64
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlparse

from huggingface_hub import constants, get_token

from siamesekit.errors import ArtifactError, OutputError
from siamesekit.files.untrusted import fingerprint, open_regular
from siamesekit.files.untrusted_json import parse_json
from siamesekit.wording import in_one_line

PATIENCE = 60.0
"""Seconds without an answer, or without a byte taken, after which a request fails."""
MAX_ANSWER = 1 << 20
"""Maximum size of an answer in bytes."""
MAX_PART = 5_000_000_000
"""Maximum size of a file in bytes that the hub takes in one request."""
SAMPLE, SHOWN = 512, 200
"""Bytes of a file by which the hub decides where it is stored, and characters shown of the hub's reason."""
LFS, JSON = "application/vnd.git-lfs+json", "application/json"


@dataclass(frozen=True)
class PublishedFile:
    """A file of a repository: its name, and its content or where the content is."""

    name: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.content) if isinstance(self.content, bytes) else self.content.stat().st_size

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, in hex."""
        return sha256(self.content).hexdigest() if isinstance(self.content, bytes) else fingerprint(self.content)

    def read(self, most: int = -1) -> bytes:
        """The first bytes, by default all."""
        if isinstance(self.content, bytes):
            return self.content if most < 0 else self.content[:most]
        with open_regular(self.content) as file:
            return file.read(most)


class HubRepository:
    """A repository of a model on the hub, for writing.

    Args:
        name: `OWNER/NAME`.

    Raises:
        OutputError: no token is there, or the hub is not to be asked.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.endpoint = constants.ENDPOINT.rstrip("/")
        self.host = urlparse(self.endpoint).netloc
        token = get_token()
        if constants.HF_HUB_OFFLINE:
            raise OutputError("cannot publish: HF_HUB_OFFLINE is set")
        if not token:
            raise OutputError("cannot publish without a token of the hub: log in with `hf auth login`, or set HF_TOKEN")
        self._token = token

    def create(self, private: bool) -> None:
        """Create the repository, unless it is there. A public one is not taken for a private one.

        Raises:
            OutputError: the hub refuses or does not answer, or the repository is public and must be private.
        """
        owner, _, name = self.name.partition("/")
        visible: dict[str, Any] = {"private": True, "visibility": "private"} if private else {}
        wanted = {"name": name, "organization": owner, "type": "model", **visible}
        self._json("POST", "/api/repos/create", wanted, accept=(403, 409))  # a token may be for one repository only
        if private and self._json("GET", f"/api/models/{self.name}").get("private") is not True:
            raise OutputError(
                f"{self.name} is public on {self.host}; nothing was sent: make it private there, or leave out --private"
            )

    def commit(self, files: Iterable[PublishedFile], summary: str) -> str:
        """Send files and commit them all at once; return the commit.

        Raises:
            OutputError: the hub refuses or does not answer; nothing is committed.
        """
        files = list(files)
        for file in files:
            if file.size > MAX_PART:
                raise OutputError(
                    f"{file.name} has {file.size:,} bytes, and at most {MAX_PART:,} are sent; write the files with "
                    f"--dry-run FOLDER, and send them with: hf upload {self.name} FOLDER"
                )
        large = self._large(files)
        sums = {file.name: file.sha256 for file in files if file.name in large}
        self._send([file for file in files if file.name in large], sums)
        lines: list[dict[str, Any]] = [{"key": "header", "value": {"summary": summary, "description": ""}}]
        for file in files:
            if file.name in large:
                stored = {"path": file.name, "algo": "sha256", "oid": sums[file.name], "size": file.size}
                lines.append({"key": "lfsFile", "value": stored})
            else:
                content = base64.b64encode(file.read()).decode()
                lines.append({"key": "file", "value": {"content": content, "path": file.name, "encoding": "base64"}})
        body = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        told = self._json("POST", f"/api/models/{self.name}/commit/main", body, "application/x-ndjson")
        return str(told.get("commitOid", ""))

    def _large(self, files: Iterable[PublishedFile]) -> set[str]:
        """Names of the files that the hub stores apart from the repository."""
        samples = [
            {"path": file.name, "sample": base64.b64encode(file.read(SAMPLE)).decode(), "size": file.size}
            for file in files
        ]
        told = self._json("POST", f"/api/models/{self.name}/preupload/main", {"files": samples})
        modes = {str(each.get("path")): each.get("uploadMode") for each in _tables(told, "files")}
        return {path for path, mode in modes.items() if mode == "lfs"}

    def _send(self, files: list[PublishedFile], sums: Mapping[str, str]) -> None:
        """Send large files to where the hub wants them; those that it has already are not sent."""
        if not files:
            return
        objects = [{"oid": sums[file.name], "size": file.size} for file in files]
        wanted = {
            "operation": "upload",
            "transfers": ["basic"],
            "objects": objects,
            "hash_algo": "sha256",
            "ref": {"name": "main"},
        }
        told = self._json("POST", f"/{self.name}.git/info/lfs/objects/batch", wanted, LFS)
        places = {each.get("oid"): each for each in _tables(told, "objects")}
        for file in files:
            found = places.get(sums[file.name], {})
            if "error" in found or not found:
                reason = found.get("error", {}).get("message", "no place for it")
                raise OutputError(f"{self.host} does not take {file.name}: {_shown(reason)}; nothing was committed")
            actions = found.get("actions") or {}
            if "upload" in actions:
                self._put(file, actions["upload"])
            if "verify" in actions:
                stored = json.dumps({"oid": sums[file.name], "size": file.size}).encode()
                self._ask("POST", str(actions["verify"].get("href")), stored, {"Accept": LFS, "Content-Type": LFS})

    def _put(self, file: PublishedFile, action: Mapping[str, Any]) -> None:
        own = {str(key): str(value) for key, value in (action.get("header") or {}).items()}
        headers = {"Content-Type": "application/octet-stream", **own, "Content-Length": str(file.size)}
        if isinstance(file.content, bytes):
            self._ask("PUT", str(action.get("href")), file.content, headers)
            return
        with open_regular(file.content) as opened:
            self._ask("PUT", str(action.get("href")), opened, headers)

    def _json(
        self, method: str, path: str, content: Any = None, kind: str = JSON, accept: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Ask the hub for a table, and tell it JSON, or text of another kind."""
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"Accept": LFS if kind == LFS else JSON, **({} if body is None else {"Content-Type": kind})}
        answer = self._ask(method, self.endpoint + quote(path), body, headers, accept)
        return {} if answer is None else _table(answer, self.host)

    def _ask(
        self,
        method: str,
        url: str,
        body: bytes | BinaryIO | None,
        headers: Mapping[str, str],
        accept: tuple[int, ...] = (),
    ) -> bytes | None:
        """Send a request; the token goes only to the hub itself.

        Args:
            method: method of HTTP.
            url: address.
            body: what is sent.
            headers: headers.
            accept: refusals for which the answer is None.

        Raises:
            OutputError: the server refuses or does not answer.
        """
        place = urlparse(url)
        if place.scheme not in ("http", "https"):
            raise OutputError(f"{self.host} names a place for files that is none: {_shown(url)}")
        request = urllib.request.Request(url, data=body, method=method, headers={"User-Agent": "siamesekit", **headers})
        if place.netloc == self.host:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                content: bytes = answer.read(MAX_ANSWER + 1)
                return content
        except urllib.error.HTTPError as error:
            if error.code in accept:
                return None
            raise OutputError(f"{self._refusal(error, place.netloc)}; nothing was committed") from error
        except (OSError, http.client.HTTPException) as error:
            raise OutputError(f"{_silence(error, place.netloc)}; nothing was committed: try again") from error

    def _refusal(self, error: urllib.error.HTTPError, host: str) -> str:
        advice = {
            401: "the token is not valid: log in with `hf auth login`, or set HF_TOKEN",
            403: f"the token may not write to {self.name}: take a token with that right, or another owner",
            404: f"it has no {self.name}, or the token may not see it",
        }
        try:
            said = parse_json(error.read(MAX_ANSWER), "the answer").get("error")
        except (ArtifactError, OSError, AttributeError, http.client.HTTPException):
            said = None
        reason = f" ({_shown(said)})" if said else ""
        return f"{host} answers {error.code}: {advice.get(error.code, in_one_line(str(error.reason)))}{reason}"


def _silence(error: Exception, host: str) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"{host} timed out: no answer for {PATIENCE:g} s"
    return f"{host} cannot be reached ({in_one_line(getattr(reason, 'strerror', None) or str(reason))})"


def _table(content: bytes, host: str) -> dict[str, Any]:
    try:
        if len(content) > MAX_ANSWER:
            raise ArtifactError("too long")
        told = parse_json(content, f"the answer of {host}")
    except ArtifactError as error:
        raise OutputError(f"{host} does not answer as a hub does: {error}") from error
    if not isinstance(told, dict):
        raise OutputError(f"{host} does not answer as a hub does: no table")
    return told


def _tables(told: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = told.get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _shown(text: object) -> str:
    return in_one_line(str(text))[:SHOWN]
