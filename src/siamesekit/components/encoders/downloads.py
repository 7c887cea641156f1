"""Downloads of weights, with timeouts, into the caches of torch and Hugging Face.

No global state changes: neither the default timeout of sockets nor settings of Hugging Face's library. A file in the
cache is complete or absent.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote, urlparse

import torch
from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from siamesekit.components.encoders import backbone
from siamesekit.components.encoders.backbone import DownloadError
from siamesekit.files.atomic import write_atomic
from siamesekit.wording import in_one_line

BLOCK = 1 << 20
"""Number of bytes per read."""
_SHA256 = re.compile(r"-([a-f0-9]+)\.")
"""Pattern of the beginning of the content's SHA-256 in a file's name, as used by torch's hub."""


def from_url(url: str) -> Path:
    """A file of weights in the cache of torch's hub (`TORCH_HOME`), downloaded if absent.

    Raises:
        DownloadError: The server does not answer, sends nothing for `STALL_SECONDS`, or sends a wrong file.
        OutputError: The cache cannot be written.
    """
    name = Path(urlparse(url).path).name
    place = Path(torch.hub.get_dir()).expanduser() / "checkpoints" / name
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        sha256 = _SHA256.search(name)
        write_atomic(place, lambda path: _download(url, path, sha256[1] if sha256 else ""))
    return place


def _download(url: str, path: Path, sha256: str) -> None:
    """Download a URL into a file."""
    host, digest, size = urlparse(url).netloc, hashlib.sha256(), 0
    request = urllib.request.Request(url, headers={"User-Agent": "siamesekit"})
    try:
        with urllib.request.urlopen(request, timeout=backbone.STALL_SECONDS) as answer, path.open("wb") as file:
            promised = answer.headers.get("Content-Length")
            while block := answer.read(BLOCK):
                digest.update(block)
                size += len(block)
                try:
                    file.write(block)
                except OSError as error:
                    raise _DiskError(error) from error
    except _DiskError as error:
        raise error.cause from None
    except urllib.error.HTTPError as error:
        raise DownloadError(f"{host} answers {error.code} {in_one_line(str(error.reason))}") from error
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(_no_answer(host, error)) from error
    if promised is not None and promised.isdecimal() and size != int(promised):
        raise DownloadError(f"{host} sent {size:,} of {int(promised):,} bytes")
    if not digest.hexdigest().startswith(sha256):
        raise DownloadError(f"the file from {host} does not have the SHA-256 in its name ({sha256} …)")


class _DiskError(Exception):
    """A failed write to the cache's disk, as opposed to an `OSError` of the network."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _no_answer(host: str, error: Exception) -> str:
    """Message for a network failure."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, TimeoutError):
        return f"{host} timed out: no answer for {backbone.STALL_SECONDS:g} s"
    return f"{host} cannot be reached ({in_one_line(getattr(reason, 'strerror', None) or str(reason))})"


def _refusal(error: HfHubHTTPError) -> str:
    """The hub's refusal: its number, and what to do about it if that is known."""
    status = getattr(error.response, "status_code", None)
    if status == 401:
        return "401: log in with `hf auth login`, or set HF_TOKEN"
    return in_one_line(str(status or error))


class NoFileError(DownloadError):
    """The hub has the model, but not the file."""


class HubModel:
    """A model's files on the Hugging Face hub, or in the local cache (`HF_HOME`).

    Args:
        name: `ORG/NAME`, or `ORG/NAME@REVISION`.
    """

    def __init__(self, name: str) -> None:
        self.repository, _, revision = name.partition("@")
        self.revision = revision or None
        self.host = urlparse(constants.ENDPOINT).netloc
        self._asked: tuple[str | None] | None = None

    def file(self, *names: str, most: int | None = None) -> Path:
        """The first of the named files that the model has.

        Args:
            names: names of the files.
            most: maximum size of the file in bytes, by what the hub says of it; None for no limit.

        Raises:
            DownloadError: The model has none of the files, the file is too large, or the hub does not answer and the
                files are not in the cache.
        """
        offline = self._silence(names[0]) is not None
        for name in names:
            try:
                if most is not None and not offline:
                    self._check_size(name, most)
                return Path(
                    hf_hub_download(
                        self.repository,
                        name,
                        revision=self.revision,
                        etag_timeout=backbone.STALL_SECONDS,
                        local_files_only=offline,
                    )
                )
            except LocalEntryNotFoundError as error:
                if not offline:  # the hub answered before, but not now
                    raise DownloadError(f"{self.host} cannot be reached") from error
            except GatedRepoError as error:
                raise DownloadError(f"{self.host} requires permission: log in with `hf auth login`") from error
            except RepositoryNotFoundError as error:
                raise DownloadError(f"{self.host} has no model {self.repository}, or it is private") from error
            except RevisionNotFoundError as error:
                raise DownloadError(f"{self.host} has no revision {self.revision} of {self.repository}") from error
            except EntryNotFoundError:  # try the next file
                continue
            except HfHubHTTPError as error:
                raise DownloadError(f"{self.host} answers {_refusal(error)}") from error
            except DownloadError:
                raise
            except Exception as error:  # transports raise errors of any type
                raise DownloadError(f"{self.host} cannot be reached ({type(error).__name__})") from error
        silence = self._silence(names[0])
        if silence is not None:
            raise DownloadError(f"{silence}, and the files are not in the cache")
        raise NoFileError(f"{self.host} has no {' or '.join(names)} of {self.repository}")

    def _check_size(self, name: str, most: int) -> None:
        """Ask for the size of a file, before it is downloaded.

        Raises:
            DownloadError: The file is larger.
        """
        url = hf_hub_url(self.repository, name, revision=self.revision, endpoint=constants.ENDPOINT)
        size = get_hf_file_metadata(url, timeout=backbone.STALL_SECONDS).size
        if size is None or size > most:
            shown = "of unknown size" if size is None else f"of {size:,} bytes"
            raise DownloadError(f"{self.repository} has a {name} {shown}, and at most {most:,} are taken")

    def _silence(self, name: str) -> str | None:
        """Why the hub does not answer; None if it does.

        The hub is asked once, for a file, because its home page may answer even if its files do not.
        """
        if constants.HF_HUB_OFFLINE:
            return "HF_HUB_OFFLINE is set"
        if self._asked is None:
            revision = quote(self.revision or "main", safe="")
            self._asked = (self._ask(f"{constants.ENDPOINT}/{quote(self.repository)}/resolve/{revision}/{name}"),)
        return self._asked[0]

    def _ask(self, url: str) -> str | None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=backbone.STALL_SECONDS):
                return None
        except urllib.error.HTTPError:
            return None  # even a refusal is an answer
        except (OSError, http.client.HTTPException) as error:
            return _no_answer(self.host, error)
