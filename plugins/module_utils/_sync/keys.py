# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Object keys and the file names they stand for.

Keys are handled as UTF-8 bytes: that is the order in which S3 lists them, and file names are bytes too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from fnmatch import translate
from typing import Callable, NamedTuple, Optional

from ansible_collections.selfhosted.media.plugins.module_utils._errors import MediaError

#: Longest key of the S3 API in bytes (AWS documentation, "Creating object key names").
MAX_KEY_BYTES = 1024


class Range(NamedTuple):
    """A part of the keys: after after, up to and including upto. None is open."""

    after: Optional[bytes] = None
    upto: Optional[bytes] = None

    def holds(self, key: bytes) -> bool:
        """Whether a key lies in the range."""
        return (self.after is None or key > self.after) and (self.upto is None or key <= self.upto)

    def may_hold_below(self, folder: bytes) -> bool:
        """Whether a key that begins with a folder's name (slash included) can lie in the range."""
        if self.upto is not None and folder > self.upto:
            return False
        # The highest key below the folder begins with it; only if even that is not after the start is it outside.
        return self.after is None or folder > self.after or self.after.startswith(folder)


@dataclass(frozen=True)
class Shard:
    """One host's part of the keys when several share a tree: stable, whatever files come and go."""

    index: int = 0
    count: int = 1

    def holds(self, key: bytes) -> bool:
        """Whether the key belongs to this part."""
        if self.count == 1:
            return True
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % self.count == self.index


#: All keys, in one range.
ALL_KEYS = Range()
#: The whole tree, when a single host takes it.
ONLY_SHARD = Shard()


def clean_prefix(prefix: str) -> str:
    """A prefix with exactly one slash at its end, or an empty one: `images` must not match `images-old/`."""
    cleaned = prefix.strip("/")
    if "//" in cleaned or any(part in (".", "..") for part in cleaned.split("/")):
        raise MediaError(f"prefix {prefix!r} has an empty part or a dot as a part; write it like images/ or a/b/")
    return cleaned + "/" if cleaned else ""


def shown(name: bytes) -> str:
    """A name for people and for JSON: bytes that are not UTF-8 and control characters are escaped with a backslash."""
    text = name.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def extension_of(name: bytes) -> bytes:
    """A name's extension in lower case, without the dot; what has none is told so."""
    stem, _dot, extension = name.rpartition(b"/")[2].rpartition(b".")
    return extension.lower() if stem and extension else b"(none)"


def why_not_a_key(key: bytes) -> Optional[str]:
    """The reason why a file's name cannot be an object key, or None."""
    if len(key) > MAX_KEY_BYTES:
        return f"the key would have {len(key)} bytes, S3 allows {MAX_KEY_BYTES}; shorten the name"
    try:
        key.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8, which object keys must be; rename the file"
    return None


def why_not_a_path(relative: bytes) -> Optional[str]:
    """The reason why an object's key, prefix removed, must not become a path below a folder, or None."""
    parts = relative.split(b"/")
    if relative.startswith(b"/"):
        return "the key looks like an absolute path"
    if b"\0" in relative:
        return "the key holds a NUL byte"
    if any(part in (b"", b".", b"..") for part in parts):
        return "the key has a part that is empty or made of dots only, which a file's path cannot have"
    if any(len(part) > 255 for part in parts):
        return "a part of the key is longer than the 255 bytes that a file name may have"
    return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class Chooser:
    """Which relative names take part: those that match include, if given, and none of exclude.

    Patterns are shell patterns over the whole name relative to the folder; `*` also matches slashes, so `*/*`
    is everything in sub-folders and `covers/*` everything below `covers`.
    """

    def __init__(self, include: list[str], exclude: list[str]) -> None:
        self._include = [_matcher(pattern) for pattern in include]
        self._exclude = [_matcher(pattern) for pattern in exclude]
        # What an included name must begin with, and the exclusions that, matching a folder, match all that is below it.
        self._beginnings = [re.split(r"[*?[]", pattern, maxsplit=1)[0] for pattern in include]
        self._exclude_below = [_matcher(pattern) for pattern in exclude if pattern.endswith("*")]

    @property
    def chooses_all(self) -> bool:
        """Whether there are no patterns at all."""
        return not self._include and not self._exclude

    def chooses(self, relative: bytes) -> bool:
        """Whether a name takes part."""
        name = _text(relative)
        if self._include and not any(matches(name) for matches in self._include):
            return False
        return not any(matches(name) for matches in self._exclude)

    def may_choose_below(self, folder: bytes) -> bool:
        """Whether a name below a folder (slash included) can take part; if not, the folder need not even be readable."""
        name = _text(folder)
        if any(matches(name) for matches in self._exclude_below):
            return False
        return not self._include or any(
            name.startswith(beginning) or beginning.startswith(name) for beginning in self._beginnings
        )


def _matcher(pattern: str) -> Callable[[str], object]:
    # Matched as text, so that `?` and `[...]` stand for a character, not for one of its bytes.
    return re.compile(translate(pattern)).match
