# SPDX-License-Identifier: Apache-2.0
"""Takes back what the manifest says, the newest first. Called by `__main__`.

What somebody changed since is not thrown away silently: of an edited file only our part goes, a file or folder of ours
that holds more than we put there stays unless everything is to go (`purge`).
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from glancesync.installation import edits
from glancesync.installation.manifest import Entry, Manifest, copy_whole, replace
from glancesync.installation.system import digest, find_ids, remove_tree, run


def remove(manifest: Manifest, *, purge: bool, dry_run: bool) -> Iterator[str]:
    """A line for each thing, as it is done. Without anything kept, the manifest goes too."""
    kept = False
    # A file that needs our code goes back before the code does.
    for entry in sorted(reversed(manifest.entries), key=lambda entry: entry.kind != "edit"):
        why = None if purge else _reason_to_keep(entry)
        if why or (entry.kind == "user" and kept):
            kept = True
            yield f"kept {entry.path}: {why or 'files of it are kept'}"
            continue
        if kept and entry.kind == "parent" and _holds_something(entry):
            continue  # of what was kept
        yield _REMOVERS[entry.kind](entry, dry_run)
        if not dry_run:
            manifest.forget(entry)
    if not kept and not dry_run:
        manifest.remove()


def _reason_to_keep(entry: Entry) -> str | None:
    path = Path(entry.path)
    if entry.kind == "file" and path.exists() and digest(path) != entry.sha256:
        return "it was changed since; --purge removes it"
    if entry.kind == "directory" and _holds_something(entry):
        return "it is not empty; --purge removes it with all that is in it"
    return None


def _holds_something(entry: Entry) -> bool:
    path = Path(entry.path)
    return path.is_dir() and any(path.iterdir())


def _undo_edit(entry: Entry, dry_run: bool) -> str:
    path, backup = Path(entry.path), Path(entry.backup or "")
    if not path.exists():
        return f"{path} is not there any more"
    now = path.read_text("utf-8")
    text = edits.remove_all(now)
    same = backup.exists() and text == backup.read_text("utf-8")
    if not dry_run:
        if same:
            copy_whole(backup, path)
        else:
            found = path.stat()
            replace(path, text, mode=found.st_mode & 0o7777, owner=(found.st_uid, found.st_gid))
    return f"restored {path}" if same else f"took our part out of {path}; what else was changed since is kept"


def _undo_file(entry: Entry, dry_run: bool) -> str:
    path = Path(entry.path)
    if entry.backup is not None:
        if not dry_run:
            copy_whole(Path(entry.backup), path)
        return f"restored {path}"
    if not dry_run:
        path.unlink(missing_ok=True)
    return f"removed {path}"


def _undo_parent(entry: Entry, dry_run: bool) -> str:
    """A folder that was made on the way to one of ours: it is others' as well by now if it holds anything."""
    path = Path(entry.path)
    if _holds_something(entry) and not dry_run:
        return f"left {path}, which others use"
    if path.is_dir() and not dry_run:
        path.rmdir()
    return f"removed {path}"


def _undo_tree(entry: Entry, dry_run: bool) -> str:
    path = Path(entry.path)
    if path.is_dir() and not dry_run:
        remove_tree(path)
    return f"removed {path}"


def _undo_user(entry: Entry, dry_run: bool) -> str:
    if find_ids(entry.path) is not None and not dry_run:
        run(["userdel", entry.path])
    return f"removed the user {entry.path}"


_REMOVERS: dict[str, Callable[[Entry, bool], str]] = {
    "edit": _undo_edit, "file": _undo_file, "link": _undo_file, "directory": _undo_tree, "tree": _undo_tree,
    "parent": _undo_parent, "user": _undo_user}
