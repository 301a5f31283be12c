"""Edits of a declaration's YAML: only what changes is written anew, comments and all else stay as they stand.

What the text then declares is for the caller to check by reading it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import yaml

from assets.errors import SpecificationError
from assets.scaffolding.yaml_writer import inline
from assets.spec.templates import escaped

Edit = tuple[int, int, str]
"""From where to where in the text, and what stands there instead."""
Pair = tuple[yaml.Node, yaml.Node]


def edited(
    text: str, *, without: Collection[str] = (), estimator: str | None = None, parameters: Mapping[str, Any] | None = None
) -> str:
    r"""Change the features and the model of a product's declaration.

    Parameters
    ----------
    text : str
        The YAML.
    without : collection of str
        Features that are no more declared.
    estimator : str, optional
        The estimator's import path.
    parameters : mapping, optional
        All its parameters.

    Raises
    ------
    SpecificationError
        If the text is not written so that it can be edited.

    Examples
    --------
    >>> print(edited("attributes:\n  model: {estimator: a.B}  # ours\n", parameters={"C": 2}))
    attributes:
      model: {estimator: a.B, parameters: {C: 2}}  # ours
    <BLANKLINE>
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    attributes = _within(root, "attributes")
    edits: list[Edit] = []
    if estimator is not None or parameters is not None:
        model = _within(attributes, "model")
        if estimator is not None:
            edits.append(_replaced(_required(model, "estimator")[1], estimator))
        if parameters is not None:
            edits += _parameters(text, model, parameters)
    if without:
        groups = _within(_within(attributes, "features"), "groups")
        edits += _without(text, groups, set(without))
    for start, end, instead in sorted(edits, reverse=True):
        text = text[:start] + instead + text[end:]
    return text


def _parameters(text: str, model: yaml.MappingNode, wanted: Mapping[str, Any]) -> list[Edit]:
    """The edits that give a model these parameters."""
    found = _found(model, "parameters")
    if found is None:
        return [_added(text, model, "parameters", wanted)] if wanted else []
    value = found[1]
    if not wanted:
        return [_removed(text, model, found)]
    if not isinstance(value, yaml.MappingNode) or value.flow_style:
        return [_replaced(value, wanted)]
    known = {key.value: (key, item) for key, item in value.value}
    before = {name: yaml.safe_load(text[item.start_mark.index : _end(item)]) for name, (_, item) in known.items()}
    edits = [_removed(text, value, pair) for name, pair in known.items() if name not in wanted]
    changed = [name for name in known if name in wanted and wanted[name] != before[name]]
    edits += [_replaced(known[name][1], wanted[name]) for name in changed]
    kept = [name for name in known if name in wanted]
    if added := [name for name in wanted if name not in known]:
        if not kept:
            raise SpecificationError("none of the declared parameters is kept, so there is no place for others in the file.")
        place = _line_end(text, _end(known[kept[-1]][1]))
        pad = " " * known[kept[-1]][0].start_mark.column
        edits.append((place, place, "".join(f"\n{pad}{inline(name)}: {inline(escaped(wanted[name]))}" for name in added)))
    return edits


def _without(text: str, groups: yaml.MappingNode, names: set[str]) -> list[Edit]:
    """The edits that remove features from their groups; a group of which nothing is left goes, too."""
    edits = []
    for pair in groups.value:
        group = _within(groups, pair[0].value)
        items = group.value
        kept = [item for item in items if item[0].value not in names]
        if len(kept) == len(items):
            continue
        if not kept:
            edits.append(_removed(text, groups, pair))
        elif group.flow_style:
            shown = ", ".join(text[key.start_mark.index : _end(value)] for key, value in kept)
            edits.append((group.start_mark.index, _end(group), f"{{{shown}}}"))
        else:
            edits += [_removed(text, group, item) for item in items if item[0].value in names]
    return edits


def _added(text: str, mapping: yaml.MappingNode, name: str, value: Any) -> Edit:
    last_key, last = mapping.value[-1]
    if mapping.flow_style:
        return (_end(last), _end(last), f", {name}: {inline(escaped(dict(value)))}")
    key, after = _found(mapping, "estimator") or (last_key, last)
    place = _line_end(text, _end(after))
    return (place, place, f"\n{' ' * key.start_mark.column}{name}: {inline(escaped(dict(value)))}")


def _replaced(node: yaml.Node, value: Any) -> Edit:
    """What stands for a value; only one that is on its line, or in brackets, can be replaced."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        raise SpecificationError(f"line {node.start_mark.line + 1} begins a value over several lines.")
    value = dict(value) if isinstance(value, Mapping) else value
    return (node.start_mark.index, node.end_mark.index, inline(escaped(value)))


def _removed(text: str, mapping: yaml.MappingNode, pair: Pair) -> Edit:
    """The lines of a key and its value, with their comments; within brackets the key and its value alone."""
    if not mapping.flow_style:
        start = text.rfind("\n", 0, pair[0].start_mark.index) + 1
        return (start, min(len(text), _line_end(text, _end(pair[1])) + 1), "")
    place = mapping.value.index(pair)
    if place:
        return (_end(mapping.value[place - 1][1]), _end(pair[1]), "")
    end = mapping.value[1][0].start_mark.index if len(mapping.value) > 1 else _end(pair[1])
    return (pair[0].start_mark.index, end, "")


def _end(node: yaml.Node) -> int:
    """Where a value ends; a mapping over several lines ends with its last value, and not before the next key."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _line_end(text: str, place: int) -> int:
    found = text.find("\n", place)
    return len(text) if found < 0 else found


def _found(mapping: yaml.Node | None, name: str) -> Pair | None:
    if not isinstance(mapping, yaml.MappingNode):
        return None
    return next((pair for pair in mapping.value if pair[0].value == name), None)


def _required(mapping: yaml.Node | None, name: str) -> Pair:
    found = _found(mapping, name)
    if found is None:
        raise SpecificationError(f"it has no '{name}' that can be edited.")
    return found


def _within(mapping: yaml.Node | None, name: str) -> yaml.MappingNode:
    """The mapping that stands for a key."""
    value = _required(mapping, name)[1]
    if not isinstance(value, yaml.MappingNode):
        raise SpecificationError(f"line {value.start_mark.line + 1}: '{name}' is no mapping.")
    return value
