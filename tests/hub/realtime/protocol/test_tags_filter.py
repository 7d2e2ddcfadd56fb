"""Which publications a filter wants, which filters are refused, and what they may cost."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.realtime.protocol.messages import FilterNode
from hub.realtime.protocol.tags_filter import InvalidFilterError, compile_filter


def wants(node: dict[str, Any], tags: Mapping[str, str]) -> bool:
    return compile_filter(msgspec.convert(node, FilterNode))(tags)


def leaf(cmp: str, val: str = "", key: str = "k") -> dict[str, Any]:
    return {"key": key, "cmp": cmp, "val": val}


@pytest.mark.parametrize(
    ("node", "wanted", "unwanted"),
    [
        (leaf("eq", "a"), ["a"], ["b", "aa", None]),
        (leaf("neq", "a"), ["b", None], ["a"]),
        ({"key": "k", "cmp": "in", "vals": ["a", "b"]}, ["a", "b"], ["c", None]),
        ({"key": "k", "cmp": "in", "vals": [""]}, ["", None], ["c"]),
        ({"key": "k", "cmp": "nin", "vals": ["a", "b"]}, ["c", None], ["a", "b"]),
        (leaf("ex"), ["", "x"], [None]),
        (leaf("nex"), [None], ["", "x"]),
        (leaf("sw", "ab"), ["ab", "abc"], ["cab", "a", None]),
        (leaf("ew", "ab"), ["ab", "cab"], ["abc", "b", None]),
        (leaf("ct", "ab"), ["ab", "cabc"], ["acb", None]),
        (leaf("gt", "42"), ["42.0000000000000000001", "100", "+43"], ["42", "9", "x", None]),
        (leaf("gte", "42"), ["42", "42.0", "042", "100"], ["41.9", "", "4e9", None]),
        (leaf("lt", "-1.5"), ["-1.50001", "-2"], ["-1.5", "0", ".5", "-5.", "nan", None]),
        (leaf("lte", "-1.5"), ["-1.50", "-1" + "0" * 190], ["1", "-inf", "-" + "1" * 200, "٤٢"]),
        (leaf("gt", "many"), [], ["1", "many", None]),
        ({"op": "not", "nodes": [leaf("gt", "many")]}, ["1", None], []),
        ({"op": "and", "nodes": [leaf("sw", "a"), leaf("ew", "z")]}, ["az"], ["a", "z", None]),
        ({"op": "or", "nodes": [leaf("sw", "a"), leaf("ew", "z")]}, ["a", "z"], ["b", None]),
        ({"op": "not", "nodes": [leaf("eq", "a")]}, ["b", None], ["a"]),
    ],
)
def test_a_filter_wants_what_it_says(
    node: dict[str, Any], wanted: list[str | None], unwanted: list[str | None]
):
    def tags(value: str | None) -> dict[str, str]:
        return {"other": "a"} if value is None else {"k": value}

    assert [value for value in wanted if not wants(node, tags(value))] == []
    assert [value for value in unwanted if wants(node, tags(value))] == []


@pytest.mark.parametrize(
    "node",
    [
        {},
        leaf("like", "a"),
        leaf("EQ", "a"),
        leaf("eq"),
        leaf("eq", "a", key=""),
        leaf("ex", "a"),
        {"key": "k", "cmp": "nex", "vals": ["a"]},
        {"key": "k", "cmp": "eq", "val": "a", "vals": ["a"]},
        {"key": "k", "cmp": "in"},
        {"key": "k", "cmp": "in", "val": "a", "vals": ["a"]},
        {"cmp": "nin", "vals": ["a"]},
        {"op": "and"},
        {"op": "or", "nodes": []},
        {"op": "not"},
        {"op": "not", "nodes": [leaf("ex"), leaf("ex")]},
        {"op": "xor", "nodes": [leaf("ex")]},
        {"op": "and", "nodes": [leaf("ex"), {"op": "or", "nodes": [leaf("eq")]}]},
    ],
)
def test_a_filter_that_is_not_well_formed_is_refused(node: dict[str, Any]):
    with pytest.raises(InvalidFilterError):
        wants(node, {})


def nested(depth: int) -> FilterNode:
    node = FilterNode(key="k", cmp="ex")
    for _ in range(depth - 1):
        node = FilterNode(op="not", nodes=[node])
    return node


def test_a_filter_has_bounds():
    assert compile_filter(nested(32))({}) is True
    for depth in (33, 50_000):
        with pytest.raises(InvalidFilterError):
            compile_filter(nested(depth))
    wide = [FilterNode(key="k", cmp="ex")] * 255
    assert compile_filter(FilterNode(op="or", nodes=wide))({"k": ""}) is True
    with pytest.raises(InvalidFilterError):
        compile_filter(FilterNode(op="or", nodes=[*wide, *wide]))


keys = st.sampled_from(["a", "b"])
values = st.sampled_from(["", "1", "2", "-1.5", "12", "x", "x1"])
leaves = (
    st.builds(
        lambda key, cmp, val: {"key": key, "cmp": cmp, "val": val},
        keys,
        st.sampled_from(["eq", "neq", "sw", "ew", "ct", "lt", "lte", "gt", "gte"]),
        values.filter(bool),
    )
    | st.builds(
        lambda key, cmp, vals: {"key": key, "cmp": cmp, "vals": vals},
        keys,
        st.sampled_from(["in", "nin"]),
        st.lists(values, min_size=1, max_size=3),
    )
    | st.builds(lambda key, cmp: {"key": key, "cmp": cmp}, keys, st.sampled_from(["ex", "nex"]))
)
trees = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            lambda op, nodes: {"op": op, "nodes": nodes},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        )
        | st.builds(lambda node: {"op": "not", "nodes": [node]}, inner)
    ),
    max_leaves=8,
)


def number(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except ValueError:
        return None


def model(node: dict[str, Any], tags: Mapping[str, str]) -> bool:  # noqa: PLR0911  # one per case
    """Evaluate a filter as plainly as can be."""
    inner = [model(child, tags) for child in node.get("nodes", [])]
    tag, val = tags.get(node.get("key", "")), node.get("val", "")
    left, right = number(tag or ""), number(val)
    match node.get("op", ""), node.get("cmp"):
        case ("and", _):
            return False not in inner
        case ("or", _):
            return True in inner
        case ("not", _):
            return inner == [False]
        case (_, "in" | "nin" as cmp):
            return ((tag or "") in node["vals"]) == (cmp == "in")
        case (_, "ex" | "nex" as cmp):
            return (tag is not None) == (cmp == "ex")
        case (_, "neq"):
            return tag != val
        case (_, cmp):
            if tag is None:
                return False
            numbers = left is not None and right is not None
            return {
                "eq": tag == val,
                "sw": tag[: len(val)] == val,
                "ew": tag[-len(val) :] == val,
                "ct": tag.find(val) >= 0,
                "lt": numbers and left < right,
                "lte": numbers and left <= right,
                "gt": numbers and left > right,
                "gte": numbers and left >= right,
            }[str(cmp)]


@given(trees, st.dictionaries(keys, values))
def test_every_filter_agrees_with_its_model(node: dict[str, Any], tags: dict[str, str]):
    assert wants(node, tags) == model(node, tags)


@pytest.mark.parametrize(
    ("node", "fits"),
    [
        (FilterNode(key="a", cmp="eq", val="x" * 16_000), True),
        (FilterNode(key="a", cmp="eq", val="x" * 17_000), False),
        (FilterNode(key="k" * 17_000, cmp="ex"), False),
        (FilterNode(key="a", cmp="in", vals=[str(number) for number in range(800)]), True),
        (FilterNode(key="a", cmp="in", vals=["1"] * 1000), False),
        (
            FilterNode(op="and", nodes=[FilterNode(key="a", cmp="eq", val="x" * 200)] * 100),
            False,
        ),
    ],
)
def test_a_filter_may_say_only_so_much(node: FilterNode, fits: bool):
    if fits:
        assert compile_filter(node)({}) is False
    else:
        with pytest.raises(InvalidFilterError):
            compile_filter(node)
