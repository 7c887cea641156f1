"""Every call of the library that removes, moves or replaces something on a disk, each with the reason why it may.

A new one fails here until it stands in the list: nothing of the user's is ever lost.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import siamesekit

ROOT = Path(siamesekit.__file__).parent
ALWAYS = {
    "unlink", "rmdir", "rmtree", "removedirs", "rename", "renames", "link_to", "hardlink_to", "symlink_to", "link",
    "symlink", "write_text", "write_bytes", "truncate", "ftruncate", "copyfile", "copy2", "copytree", "move",
    "posix_fallocate", "TemporaryFile", "NamedTemporaryFile", "mkstemp", "mkdtemp", "tofile", "memmap", "save_file",
    "from_file", "write_table", "savez", "savez_compressed", "touch", "chmod", "move_aside", "remove_run",
    "write_atomic", "write_several", "write_json", "remove_files", "remove_empty_folders", "symlinks", "dump",
}  # fmt: skip
"""Names of functions and methods that change a disk, this library's own that do it for others included."""
READS = {"r", "rb", "rt"}
ALLOWED = {
    # files/atomic.py: a folder of its own for each file that is written, with the name of that file in it
    "files.atomic.create: mkdtemp": "makes a folder of a new name",
    "files.atomic.create: write_bytes": "in that new folder: the name of the file that is written",
    "files.atomic.create: remove(place)": "that new folder, where nothing could be written into it",
    "files.atomic.fill: open('xb')": "a new file in a folder of our own; never one that is there",
    "files.atomic.fill: chmod": "that new file",
    "files.atomic.flush: os.open": "to flush it; nothing is written",
    "files.atomic.rename: source.replace(target)": "the one place where a file is replaced; who calls it stands below",
    "files.atomic.write_atomic: remove(place)": "the folder that `create` made",
    "files.atomic.write_atomic: rename": "the whole file into its place; who calls it stands below",
    "files.atomic.write_several: remove(place)": "the folder that `create` made",
    "files.atomic.write_several: rename": "the whole files into their places; who calls it stands below",
    "files.atomic.remove: unlink": "the file that the folder names as being written, and the file with that name",
    "files.atomic.remove: rmdir": "that folder, when nothing else is in it",
    "files.atomic.sweep: remove(place)": "as above, of processes that hold no lock",
    "files.atomic._probe: open('ab')": "the new file, to ask the disk for its error",
    "files.atomic.write_json: write_atomic": "for those below",
    # artifact/hub_push.py: a model's files, for a look before they are published
    "artifact.hub_push._write: write_atomic": "into a folder that was empty or is new",
    "artifact.hub_push._copy: open('wb')": "the new file of `write_atomic`",
    # data/remote/photo_cache.py: in the user's cache folder
    "data.remote.photo_cache.remote_content: write_atomic": "a downloaded photo, under a name of its own form",
    "data.remote.photo_cache.PhotoCache._make_room: unlink": "plain files of that form, where the limit is reached",
    # files/locks.py
    "files.locks.held: os.open": "makes a lock; a file with content is none and stays",
    "files.locks.release: unlink": "an empty plain file: the lock",
    # experiment/tracker_process.py
    "experiment.tracker_process.main: os.open": "the null device, in place of what a tracker reads and prints",
    # files/run_files.py, experiment/: a run's own files, by their exact forms
    "files.run_files.move: rename": "files that `own_files` gives, to places where nothing is",
    "files.run_files.remove_files: unlink": "files that `own_files` gives",
    "files.run_files.remove_files: remove_empty_folders": "see there",
    "files.run_files.move: remove_empty_folders": "see there",
    "files.run_files.remove_empty_folders: rmdir": "model/, checkpoints/, plugins/, when empty",
    "experiment.replaced_run.ReplacedRun.move_aside: write_json": "a manifest in the folder where the old run waits",
    "experiment.replaced_run.ReplacedRun.move_aside: move": "the old run's own files",
    "experiment.replaced_run.ReplacedRun.move_aside: rename": "the old run's manifest",
    "experiment.replaced_run.ReplacedRun.put_back: rmdir": "the empty folder in which a run would have waited",
    "experiment.replaced_run.ReplacedRun.put_back: write_json": "that manifest, and the one where no manifest is",
    "experiment.replaced_run.ReplacedRun.put_back: move": "the old run's own files, to places where nothing is",
    "experiment.replaced_run.ReplacedRun.remove: remove_run": "the old run's own files",
    "experiment.replaced_run.ReplacedRun.remove: remove_empty_folders": "see there",
    "experiment.replaced_run.ReplacedRun.remove: rmdir": "the folder in which it waited, when empty",
    "experiment.replaced_run.remove_run: remove_files": "a run's own files",
    "experiment.replaced_run.remove_run: unlink": "its manifest, with the mark",
    "experiment.run_folder.RunFolder.claim: move_aside": "see there",
    "experiment.run_folder.RunFolder.claim: remove_run": "what a run that failed has left, its own files",
    "experiment.run_folder.RunFolder.write_config: write_atomic": "config.toml and copies of plugins, listed",
    "experiment.run_folder.RunFolder.write_manifest: write_json": "manifest.json of the folder that was claimed",
    "experiment.run_folder.RunFolder.write_evaluation: write_json": "listed as the run's own",
    "experiment.run_folder.RunFolder.write_metrics: write_atomic": "listed as the run's own",
    "experiment.running._run: write_json": "split.json, listed as the run's own",
    "experiment.running._write_report: write_atomic": "report.html, listed as the run's own",
    "artifact.onnx_export.export_onnx: write_atomic": "the output that is asked for, after check_export_output",
    "artifact.torch_export.export_torch: write_atomic": "the output that is asked for, after check_export_output",
    "artifact.openvino_export.export_openvino: write_several": "the output that is asked for, after that check",
    "artifact.openvino_export._convert: write_bytes": "in a temporary folder of its own",
    "artifact.onnx_int8.int8_graph: write_bytes": "in a temporary folder of its own",
    "experiment.int8_export.export_int8: write_atomic": "the output that is asked for, after check_export_output",
    "artifact.onnx_graph._silent: open('w')": "the system's null device",
    "artifact.pickling.save_pickle: write_atomic": "the pickle, listed as the run's own",
    "artifact.saving.save_model: write_atomic": "model/, listed as the run's own",
    "artifact.saving.save_model: write_json": "model/, listed as the run's own",
    "artifact.saving.save_model: save_file": "into the folder of our own from which it is renamed",
    # checkpoints and best weights
    "engine.checkpoints.save_checkpoint: write_atomic": "a number that no checkpoint has",
    "engine.checkpoints.save_checkpoint: write_json": "beside it",
    "engine.checkpoints.save_checkpoint: unlink": "older checkpoints of this run, by their exact names",
    "engine.state_files.save_state: save_file": "into the folder of our own from which it is renamed",
    "experiment.run_log.RunLog.keep_best: write_atomic": "best-DIGEST.safetensors, by the content's digest",
    "experiment.run_log.RunLog._remove_worse: unlink": "other best weights of this run, by their exact form",
    # the cache of frozen parts
    "engine.frozen.feature_cache.FeatureStore.make: open('wb')": "a new file in a folder of a new name",
    "engine.frozen.feature_cache.FeatureStore.make: posix_fallocate": "that file",
    "engine.frozen.feature_cache.FeatureStore.make: truncate": "that file",
    "engine.frozen.feature_cache.FeatureStore._keep: open('rb+')": "that file, to flush it",
    "engine.frozen.feature_cache.FeatureStore._keep: write_json": "the header in that folder",
    "engine.frozen.feature_cache.FeatureStore._keep: rename": "that folder, to a key's name where none with content is",
    "engine.frozen.feature_cache._remove: unlink": "header.json and NUMBER.bin of a set",
    "engine.frozen.feature_cache._remove: rmdir": "the set's folder, when nothing else is in it",
    "hardware.mapped_files.nameless_file: TemporaryFile": "a file without a name",
    "hardware.mapped_files.nameless_file: posix_fallocate": "that file",
    "hardware.mapped_files.nameless_file: truncate": "that file",
    "engine.ranks.shared_tensors._mapped: open('rb+')": "a file without a name, to map it",
    "hardware.mapped_files.MappedFiles.tensor: open('rb+')": "a file of the cache, made by this program",
    # commands
    "config.project.project._write: open('xb')": "`init`: a new file; never one that is there",
    "config.project.project._write: write_atomic": "in the place of the empty one just made",
    "config.project.project._write: unlink": "the files that this call made",
    "config.project.project._write: rmdir": "the folders that this call made, when empty",
    "artifact.embedding_files.write_embeddings: write_atomic": "`embed -o`: earlier embeddings (`check_output`)",
    "artifact.embedding_files.write_embeddings: savez_compressed": "into memory",
    "artifact.embedding_files.write_embeddings: write_table": "into the folder of our own from which it is renamed",
    "artifact.embedding_files.write_left_out: write_atomic": "an earlier table of that kind (`table_of_left_out`)",
    "gallery.last_season.remember: write_atomic": "a catalogue's own file of that name, in the folder made for it",
    "gallery.answer_table.write_answers: open('w')": "the new file of `write_atomic`",
    "gallery.answer_table.write_answers: write_atomic": "nothing but earlier answers (`refuse_what_is_not_ours`)",
    "files.writer_lock.writer: os.open": "makes a lock, or opens one; links are not followed",
    "files.writer_lock.writer: ftruncate": "the lock: a file of that name in a catalogue",
    "files.writer_lock._describe: ftruncate": "the lock",
    # gallery/: a catalogue's own files, in a folder that holds nothing else when it is made
    "audit.facts_cache.FactsCache.__init__: unlink": "a cache of facts that has grown too large",
    "engine.frozen.product_choice._keep: write_json": "seconds by way, in the cache folder, of a name made for them",
    "audit.page.write_page: write_atomic": "`check --html`: an earlier page (`check_page`)",
    "audit.tables.write_findings: write_atomic": "`check --csv`: an earlier table (`check_table`)",
    "audit.quarantine_file.write_quarantine: write_atomic": "`--quarantine`: an earlier list (`check_quarantine`)",
    "cli.catalogue.correcting.rename: rename": "an individual, in the database",
    "gallery.catalogue.Catalogue.rename: rename": "an individual, in the database",
    "gallery.bound_model._copy: open('wb')": "into the folder of our own from which it is renamed",
    "gallery.bound_model.copy_model: write_atomic": "model.json and model.safetensors of the catalogue's model",
    "gallery.bound_model.remove_model: unlink": "those two files, of a model that the catalogue has left",
    "gallery.bound_model.remove_model: rmdir": "their folder, when empty",
    "gallery.creating.create: write_atomic": "the database, where none is",
    "gallery.re_embedding._re_embed: unlink": "the matrix that the database no longer names",
    "gallery.catalogue_store.CatalogueStore.drop: rmdir": "the folder of a store that is dropped, when empty",
    "components.stores.qdrant.Qdrant.drop: rmdir": "the local mode's folder of collections, when empty",
    "components.stores.qdrant.Qdrant.drop: unlink": "its own two files, when it holds no collection",
    "components.stores.embedding_matrix.EmbeddingMatrix.overwrite: open('r+b')": "rows of a store's own file",
    "components.stores.embedding_matrix.EmbeddingMatrix.read: memmap": "copy on write: nothing reaches the file",
    "components.stores.embedding_matrix.EmbeddingMatrix.store: os.open": "the matrix that the database names, or a new",
    "components.stores.embedding_matrix.EmbeddingMatrix.store: truncate": "rows after the last one that counts",
    "components.stores.memory_mapped.MemoryMapped.drop: unlink": "the store's own file",
    # a match: a folder that holds nothing else (`check_folder`)
    "gallery.match_folder.write_match: open('w')": "the new file of `write_atomic`",
    "gallery.match_folder.write_match: write_atomic": "nothing but an earlier page (`refuse_what_is_not_ours`)",
    "gallery.match_folder.write_pictures: write_atomic": "pictures of a match, named by the photos' content (`OWN`)",
    "gallery.match_folder.write_pictures: write_several": "thumbnails of a match, named likewise",
    "gallery.match_folder._remove_others: unlink": "pictures of an earlier match, by their exact form (`OWN`)",
    # a discovery: a folder that holds nothing else, and no answers that are not given (`check_cluster_folder`)
    "gallery.cluster_folder.write_discovery: write_atomic": "clusters.csv, suggestions.csv and pairs.csv",
    # formats of other programs: only where nothing is (`refuse_existing`)
    "gallery.exchange.converting._write: write_atomic": "`convert -o`: a new file",
    "gallery.exchange.converting._write: write_several": "`convert -o`: new files of a package",
    "gallery.exchange.filling_in.fill_in: write_atomic": "`fill-in -o`: a new table",
    "cli.screen.open_screens: os.open": "the null device",
    "cli.screen.open_screens: open('w')": "a descriptor that is open already: stdout or stderr",
    "cli.screen.Screen._lost: os.open": "the null device",
    "components.encoders.downloads.from_url: write_atomic": "a file of the cache of weights that is not there yet",
    "components.encoders.downloads._download: open('wb')": "into the folder of our own from which it is renamed",
    "gallery.shared_points._Cache.__init__: unlink": "a file of points in our own cache folder, when it is too large",
    "gallery.matched_photos.write_picture: write_atomic": "nothing but an earlier picture (`refuse_what_is_not_ours`)",
    "cli.app.schema: write_atomic": "`schema -o`: nothing but an earlier schema (`refuse_what_is_not_ours`)",
}
"""By module, function and call: what is changed there, and why that is never a file of the user's."""


def changes(file: Path) -> Iterator[str]:
    """The calls in a source file that may change a disk, as `module.function: call`."""
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts)

    def walk(node: ast.AST, inside: tuple[str, ...], in_function: bool) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                # what stands in a function belongs to it
                place = inside if in_function else (*inside, child.name)
                yield from walk(child, place, in_function or not isinstance(child, ast.ClassDef))
                continue
            if isinstance(child, ast.Call) and (call := _change(child)):
                yield f"{'.'.join((module, *inside))}: {call}"
            yield from walk(child, inside, in_function)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), (), False)


def _change(call: ast.Call) -> str | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    receiver = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "open":
        if receiver == "os":
            flags = ast.unparse(call)
            return "os.open" if any(flag in flags for flag in ("O_RDWR", "O_WRONLY", "O_CREAT", "O_TRUNC")) else None
        given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        wrong = [mode for mode in modes if mode not in READS and set(mode) <= set("rwxabt+")]
        return f"open({wrong[0]!r})" if wrong else None
    if name in ("remove", "replace"):
        if receiver == "os" or (name == "remove" and not receiver):
            return f"{name}({', '.join(map(ast.unparse, call.args))})"
        if name == "replace" and not receiver and len(call.args) == 2:
            return f"replace({', '.join(map(ast.unparse, call.args))})"
        if name == "replace" and receiver and len(call.args) == 1 and not call.keywords:
            return f"{receiver}.replace({ast.unparse(call.args[0])})"
        return None
    return name if name in ALWAYS else None


@pytest.mark.medium
def test_every_call_that_changes_a_disk_is_known_and_has_a_reason() -> None:
    found = {change for file in sorted(ROOT.rglob("*.py")) for change in changes(file)}
    assert found - set(ALLOWED) == set(), "say in ALLOWED why it never touches a file of the user's"
    assert set(ALLOWED) - found == set(), "it is gone: take it out of ALLOWED"


def test_nothing_is_removed_recursively() -> None:
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "rmtree" not in text and "removedirs" not in text and "import shutil" not in text, file


def test_the_search_finds_what_it_is_for(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    source = (
        "import os, shutil\ndef f(p):\n    p.unlink()\n    os.remove(p)\n    os.replace(p, p)\n    p.replace(q)\n"
        "    'a'.replace('a', 'b')\n    l.remove(1)\n    open(p, 'w')\n    open(p)\n    p.open('rb')\n"
        "    p.open(mode='x')\n    shutil.rmtree(p)\n    os.open(p, os.O_RDONLY)\n    os.open(p, os.O_WRONLY)\n"
        "class C:\n    def g(self):\n        def inner():\n            p.rmdir()\n"
    )
    (tmp_path / "m.py").write_text(source)
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert list(changes(tmp_path / "m.py")) == [
        "m.f: unlink", "m.f: remove(p)", "m.f: replace(p, p)", "m.f: p.replace(q)", "m.f: open('w')", "m.f: open('x')",
        "m.f: rmtree", "m.f: os.open", "m.C.g: rmdir",
    ]  # fmt: skip
