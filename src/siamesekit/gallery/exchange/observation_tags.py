"""Attributes that Camtrap DP has no field for, as tags of an observation: `side:left | split:train`."""

from __future__ import annotations

from collections.abc import Mapping


def tags_of(before: str, attributes: Mapping[str, str]) -> tuple[str, list[str]]:
    """Tags with attributes in them, and the names of attributes that cannot be tags.

    Args:
        before: tags that are there already; a key among the attributes gets the attribute's text.
        attributes: the attributes.

    >>> tags_of("calm | side:right", {"side": "left", "a|b": "x"})
    ('calm | side:left', ['a|b'])
    """
    lost = [name for name, text in attributes.items() if not _is_tag(name, text)]
    left = {name: text for name, text in attributes.items() if name not in lost}
    tags = []
    for tag in filter(None, (part.strip() for part in before.split("|"))):
        key, colon, _ = tag.partition(":")
        tags.append(f"{key}:{left.pop(key)}" if colon and key in left else tag)
    return " | ".join([*tags, *(f"{name}:{text}" for name, text in left.items())]), lost


def _is_tag(name: str, text: str) -> bool:
    """Whether an attribute can be a tag, and be read as it was."""
    plain = not set("|\n\r") & set(name + text) and ":" not in name
    return plain and (name, text) == (name.strip(), text.strip())
