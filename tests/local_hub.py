"""A small Hugging Face hub on 127.0.0.1, with the requests that huggingface_hub and this library make of it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import unquote

import pytest
from huggingface_hub import constants

from helpers import serving

TOKEN = "hf_good"
LARGE = ".safetensors"
"""Files with this suffix are stored apart, as by the hub's .gitattributes."""


@dataclass
class Repository:
    """A repository: its files at each commit, the newest last."""

    private: bool = False
    gated: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)

    def files(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision and its files; None if there is no such revision."""
        if revision == "main":
            return self.commits[-1] if self.commits else None
        return next((each for each in self.commits if each[0] == revision), None)


@dataclass
class State:
    """What the hub has and was asked."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: list[tuple[str, Any]] = field(default_factory=list)
    tokens_of_files: list[str | None] = field(default_factory=list)
    """Tokens that came with large files."""
    silent: str = ""
    """Pattern of the paths that are never answered."""
    over: Event = field(default_factory=Event)
    url: str = ""
    store: str = ""
    """Address of the server to which large files are sent, if it is another one."""


class LocalHub(BaseHTTPRequestHandler):
    """The hub; a class of its own for each server, with its `state`."""

    state: State

    def do_HEAD(self) -> None:
        self._resolve(body=False)

    def do_GET(self) -> None:
        found = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/.*)?", unquote(self.path))
        if found is None:
            return self._resolve(body=True)
        self._note(None)
        repository = self._visible(found[1])
        if repository is None:
            return None
        sha = repository.commits[-1][0] if repository.commits else "0" * 40
        return self._json(200, {"id": found[1], "private": repository.private, "sha": sha})

    def do_PUT(self) -> None:
        content = self._content()
        self._note(None)
        if self._holds_still():
            return
        self.state.tokens_of_files.append(self.headers.get("Authorization"))
        oid = self.path.rpartition("/")[2]
        assert sha256(content).hexdigest() == oid
        self.state.stored[oid] = content
        self._json(200, {})

    def do_POST(self) -> None:
        content = self._content()
        told: Any = [json.loads(line) for line in content.decode().splitlines()]
        told = told if self.path.endswith("/commit/main") else told[0]
        self._note(told)
        if self._holds_still():
            return None
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid credentials in Authorization header"})
        path = unquote(self.path)
        if path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(told)
        if path == "/verify":
            return self._json(200 if told["oid"] in self.state.stored else 404, {})
        batch = re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        name = batch[1] if batch else "/".join(path.split("/")[3:5])
        repository = self._visible(name)
        if repository is None:
            return None
        if batch:
            objects = [
                {**each, "actions": self._actions(each["oid"])} if each["oid"] not in self.state.stored else each
                for each in told["objects"]
            ]
            return self._json(200, {"transfer": "basic", "objects": objects})
        if path.endswith("/preupload/main"):
            files = [
                {
                    "path": each["path"],
                    "uploadMode": "lfs" if each["path"].endswith(LARGE) else "regular",
                    "shouldIgnore": False,
                }
                for each in told["files"]
            ]
            return self._json(200, {"files": files})
        assert path.endswith("/commit/main")
        return self._commit(name, told, content)

    def _create(self, told: dict[str, Any]) -> None:
        if told["organization"] == "others":
            return self._json(403, {"error": "You don't have the rights to create a model under this namespace"})
        name = f"{told['organization']}/{told['name']}"
        url = f"{self.state.url}/{name}"
        if name in self.state.repositories:
            return self._json(409, {"error": "You already created this model repo", "url": url})
        self.state.repositories[name] = Repository(told.get("visibility") == "private" or told.get("private", False))
        return self._json(200, {"url": url})

    def _actions(self, oid: str) -> dict[str, Any]:
        url = self.state.url
        return {"upload": {"href": f"{self.state.store or url}/lfs/{oid}"}, "verify": {"href": f"{url}/verify"}}

    def _commit(self, name: str, told: list[dict[str, Any]], content: bytes) -> None:
        repository = self.state.repositories[name]
        files = dict(repository.commits[-1][1]) if repository.commits else {}
        for line in told:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.state.stored[value["oid"]]
                assert len(files[value["path"]]) == value["size"]
        commit = sha1(content + str(len(repository.commits)).encode()).hexdigest()
        repository.commits.append((commit, files))
        self._json(200, {"commitUrl": f"{self.state.url}/{name}/commit/{commit}", "commitOid": commit, "success": True})

    def _resolve(self, body: bool) -> None:
        self._note(None)
        if self._holds_still():
            return None
        found = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", unquote(self.path))
        if found is None:
            return self._json(404, {})
        repository = self._visible(found[1])
        if repository is None:
            return None
        at = repository.files(found[2])
        if at is None:
            return self._json(404, {}, {"X-Error-Code": "RevisionNotFound"})
        commit, files = at
        if found[3] not in files:
            return self._json(404, {}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content = files[found[3]]
        self.send_response(200)
        self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def _visible(self, name: str) -> Repository | None:
        """A repository that the token may see; otherwise the refusal is sent."""
        repository = self.state.repositories.get(name)
        own = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not own):
            if own or repository is not None:
                self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            else:
                self._json(401, {"error": "Invalid username or password."}, {"X-Error-Code": "RepoNotFound"})
            return None
        if repository.gated and not own:
            self._json(401, {"error": "Access is restricted"}, {"X-Error-Code": "GatedRepo"})
            return None
        return repository

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _holds_still(self) -> bool:
        if self.state.silent and re.search(self.state.silent, self.path):
            self.state.over.wait(20)
            return True
        return False

    def _note(self, told: Any) -> None:
        self.state.asked.append((self.command, unquote(self.path)))
        if told is not None:
            self.state.told.append((unquote(self.path), told))

    def _json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None: ...


@contextmanager
def in_place_of_the_hub(state: State, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[State]:
    """A local hub that is asked in place of huggingface.co, with a cache of its own."""
    with serving(type("Served", (LocalHub,), {"state": state})) as state.url:
        template = f"{state.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", state.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        try:
            yield state
        finally:
            state.over.set()
