import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.errors import ConfigError
from job.presets import DEFAULT, GROUPS, PRESETS, Spec, expand, slug

EVERY = [spec for specs in PRESETS.values() for spec in specs]
TYPES = st.text("ab/-_.:A", max_size=8) | st.text(max_size=5)


def test_no_name_stands_for_the_default() -> None:
    assert expand() == expand(DEFAULT) == PRESETS["vm"]


def test_a_group_is_its_presets() -> None:
    assert expand(["lb"]) == PRESETS["lb-l3"] + PRESETS["lb-http"]


def test_everything_is_asked_for_by_all() -> None:
    assert expand(["all"]) == tuple(EVERY)


def test_a_metric_named_twice_is_read_once() -> None:
    assert expand(["vm", "all", "vm"])[:4] == PRESETS["vm"]
    assert len(expand(["vm", "all"])) == len(EVERY)


def test_a_full_type_that_a_preset_holds_is_read_as_the_preset_reads_it() -> None:
    spec = PRESETS["vpn"][0]
    assert expand([spec.type]) == (spec,)


def test_any_other_full_type_stands_for_itself() -> None:
    name = "custom.googleapis.com/My-app/requests"
    assert expand([name]) == (Spec(name),)


@pytest.mark.parametrize(
    "name", ["", "vms", "VM", "x.com", 'x.com/a" OR metric.type = "b', "x.com/a\n", "a/b", "x.com/"]
)
def test_an_unknown_name_is_refused_with_the_names_that_exist(name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        expand([name])
    assert repr(name) in str(refused.value)
    assert all(known in str(refused.value) for known in (*PRESETS, *GROUPS))


def test_no_metric_is_in_two_presets() -> None:
    assert len({spec.type for spec in EVERY}) == len(EVERY)


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.type)
def test_a_preset_can_be_split_without_tearing_its_groups(spec: Spec) -> None:
    assert spec.split_by in spec.group_by


@pytest.mark.parametrize("spec", EVERY, ids=lambda spec: spec.type)
def test_a_preset_has_a_noun_unless_it_counts_bytes(spec: Spec) -> None:
    assert bool(spec.noun) == ("bytes" not in spec.type)


@pytest.mark.parametrize("preset", ["vm", "nat", "vpn", "interconnect", "vpc-access"])
def test_bytes_and_packets_come_in_both_directions(preset: str) -> None:
    assert {s.type.rpartition("/")[2] for s in PRESETS[preset]} >= {
        f"{way}_{what}_count" for way in ("received", "sent") for what in ("bytes", "packets")
    }


def test_the_two_loadbalanced_series_of_a_vm_fall_into_one_group() -> None:
    assert all("metric.labels.loadbalanced" not in spec.group_by for spec in PRESETS["vm"])
    assert all("resource.labels.instance_id" in spec.group_by for spec in PRESETS["vm"])


def test_the_slug_of_a_metric_can_be_read() -> None:
    assert slug("kubernetes.io/pod/network/sent_bytes_count") == "kubernetes.io-pod-network-sent_bytes_count"


@given(TYPES, TYPES)
def test_two_types_never_share_a_slug(one: str, other: str) -> None:
    assert (slug(one) == slug(other)) == (one == other)
    assert slug(one).lower() != slug(other).lower() or one == other


@given(TYPES | st.text("a/", min_size=100, max_size=400))
def test_a_slug_is_safe_in_the_name_of_an_object(name: str) -> None:
    text = slug(name)
    assert text
    assert len(text) < 160
    assert not text.startswith(".")
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
