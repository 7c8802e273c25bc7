"""Documents as files: YAML, with JSON as a part of it.

Rules:
- What is plain here is what YAML 1.2 and JSON hold: `on`, `off`, `yes` and `12:30` are
  text, not the truth values and numbers that YAML 1.1 makes of them. Written text is
  quoted where a reader of YAML 1.1 would need it.
- A name given twice is an error, not the last one's win.
- Reading costs no more than the file's size: aliases may not multiply it, and depth is
  bounded.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

try:  # many times as quick, where PyYAML was built with libyaml
    from yaml import CSafeLoader as SafeLoader
except ImportError:
    from yaml import SafeLoader  # type: ignore[assignment]

from pools.core import codec
from pools.core.document import Document
from pools.core.errors import PoolsError

MAX_BYTES = 32 * 2**20
_MAX_DEPTH = 32
_MAX_VALUES = 4_000_000


class FileError(PoolsError):
    """A file that holds no plain data; one line, with the place where there is one."""


def dump(document: Document, *, defaults: bool = False) -> str:
    """The document as YAML; `load` and `codec.parse` give it back."""
    plain = {"pools": [], **codec.to_plain(document, defaults=defaults)}
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=96)


def load(content: bytes) -> Any:
    """The plain data of a file; raises FileError."""
    if len(content) > MAX_BYTES:
        raise FileError(f"is larger than {MAX_BYTES // 2**20} MiB: this is no configuration")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"is not text in UTF-8 (byte {error.start})") from None
    try:
        _check_depth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise FileError(_EMPTY.format("is empty"))
        _check_nodes(node, loader, {})
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "is not YAML"
        if reason.startswith("but "):  # the second half of a sentence
            reason = f"{error.context}, {reason}"
        raise _at(mark, reason) from None
    except yaml.YAMLError as error:  # characters that YAML does not allow
        raise FileError(" ".join(str(error).split())) from None
    except ValueError as error:  # a number of thousands of digits
        raise FileError(str(error)) from None
    if data is None:
        raise FileError(_EMPTY.format("holds nothing"))
    if isinstance(data, dict) and "pools" not in data:
        raise FileError(_EMPTY.format("names no pools"))
    return data


_EMPTY = "{}: it would remove every pool and route; write `pools: []` if that is meant"


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes text of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    if any(break_ in text for break_ in "\x85\u2028\u2029"):
        style = '"'  # else PyYAML folds them into others
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


class _Loader(SafeLoader):
    """SafeLoader with YAML 1.2's idea of what is not text."""

    # A part of what YAML 1.1 takes for other than text, so that all that the dumper
    # leaves unquoted is read as it was written.
    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?", [*"-+0123456789"]),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+."]),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), _first
    )


def _check_depth(text: str) -> None:
    """Before anything recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _at(event.start_mark, f"is nested more than {_MAX_DEPTH} deep")


def _check_nodes(node: yaml.Node, loader: _Loader, sizes: dict[yaml.Node, int]) -> int:
    """How many values the node stands for, each alias counted at each use."""
    if node in sizes:
        if not sizes[node]:
            raise _at(node.start_mark, "holds itself")
        return sizes[node]
    sizes[node] = 0  # under way
    plain = loader.resolve(  # type: ignore[no-untyped-call]
        type(node), getattr(node, "value", None), (True, False)
    )
    if node.tag not in (plain, "tag:yaml.org,2002:str"):
        raise _at(node.start_mark, f"the tag {node.tag} has no use here: remove it")
    below: list[yaml.Node] = []
    if isinstance(node, yaml.ScalarNode):
        _check_text(node)
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        below = [item for pair in node.value for item in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    size = 1
    for item in below:
        size += _check_nodes(item, loader, sizes)
        if size > _MAX_VALUES:
            raise _at(item.start_mark, f"stands for more than {_MAX_VALUES} values by aliases")
    sizes[node] = size
    return size


def _check_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _at(key.start_mark, "a name is text, not a list or mapping")
        if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
            raise _at(key.start_mark, f"{key.value!r} is there twice: keep one")
        if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
            raise _at(key.start_mark, f"the name {key.value} is not text: quote it")
        seen.add(key.value)


def _check_text(node: yaml.ScalarNode) -> None:
    """Escapes can make what no database and no file keeps."""
    if "\0" in node.value or any("\ud800" <= letter <= "\udfff" for letter in node.value):
        raise _at(node.start_mark, "holds NUL or half a surrogate pair: remove it")


def _at(mark: Any, problem: str) -> FileError:
    if mark is None:
        return FileError(problem)
    return FileError(f"line {mark.line + 1}, column {mark.column + 1}: {problem}")
