"""The shipped Prometheus rules speak of metrics and labels that the hub exports."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import REGISTRY

import hub.processes.ingest  # declares what ingest exports
import hub.queue  # noqa: F401  # and workers
from hub.domains.gateways.schemas import GatewayAlert, GatewayStatus
from hub.domains.taps.schemas import Verdict

RULES = Path(__file__).parents[2] / "docs" / "deploy" / "alerts.yml"
LABELS: dict[str, set[str]] = {
    "alert": set(get_args(GatewayAlert)),
    "status": set(get_args(GatewayStatus)),
    "verdict": {word for part in get_args(Verdict) for word in (get_args(part) or (part,))},
}


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def exported() -> dict[str, set[str]]:
    """Return the label names of each sample name; those without children yet are declared too."""
    found: dict[str, set[str]] = {}
    for family in REGISTRY.collect():
        endings = {"counter": ["_total"], "histogram": ["_count", "_sum", "_bucket"]}
        for ending in endings.get(family.type, [""]):
            labels = {name for sample in family.samples for name in sample.labels}
            found[family.name + ending] = labels
    return found


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_names_metrics_that_exist_and_words_that_their_labels_take(
    rule: dict[str, Any],
) -> None:
    names = set(re.findall(r"pinghub_\w+", rule["expr"]))
    assert names
    assert names <= exported().keys()
    for label, words in re.findall(r"(\w+)[!=]~?\"([^\"]+)\"", rule["expr"]):
        assert set(words.split("|")) <= LABELS[label]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["action"]


def test_every_alert_of_gateways_that_needs_an_operator_has_a_rule() -> None:
    words = set(re.findall(r"\w+", RULES.read_text()))
    by_a_figure = {"spool_growing", "spool_old", "clock_wrong", "taps_rejected", "taps_held"}
    assert {word for word in get_args(GatewayAlert) if word not in words} == by_a_figure
