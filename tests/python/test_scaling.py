"""Replicas, their limits, and what they cost in database connections."""

import csv
import itertools
import math
import re

import service_source
from manifests import FOR_THE_DAY, KUBERNETES, ROOT, SERVICES, find, of_kind, pod_of, replicas, settings

# Of PostgreSQL for superusers, of the database's operator, of a migration, and of a person who looks.
RESERVED = 3 + 5 + 1 + 5


def leaving(overlay, service):
    """Pods that leave at once during a rolling update. One is told to when the next has been ready for a while, and has its connections until it is killed at the latest."""
    spec = find(overlay, "Deployment", service)["spec"]
    return math.ceil(pod_of(find(overlay, "Deployment", service))["spec"]["terminationGracePeriodSeconds"] / spec["minReadySeconds"])


def needed(overlay, service):
    """Connections at the most replicas, with those that a rolling update adds and those that leave meanwhile."""
    told = settings(overlay, service)
    assert "TIDEGATE_READ_CONNECTIONS" not in told, "the README's formula is for its default"
    surge = find(overlay, "Deployment", service)["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    _, most = replicas(overlay, service)
    return (most + surge + leaving(overlay, service)) * service_source.connections(service, int(told.get("TIDEGATE_LANES", 0)))


def test_two_pods_of_a_service_leave_at_once_at_most(overlay, with_database):
    assert leaving(overlay, with_database) <= 2
    # Scaling down lets them go more slowly still.
    for scaler in of_kind(overlay, "ScaledObject"):
        if scaler["spec"]["scaleTargetRef"]["name"] == with_database:
            (policy,) = scaler["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"]
            grace = pod_of(find(overlay, "Deployment", with_database))["spec"]["terminationGracePeriodSeconds"]
            assert policy["type"] == "Pods" and policy["periodSeconds"] / policy["value"] > grace


def test_each_database_has_room_for_its_service_at_the_most_replicas(overlay):
    for cluster in of_kind(overlay, "Cluster"):
        service = cluster["metadata"]["name"].removesuffix("-database")
        room = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
        assert needed(overlay, service) + RESERVED <= room, service


def test_the_readmes_table_of_connections_is_what_the_manifests_say():
    text = (KUBERNETES / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\w-]+) \| (\d+) \| (\d+)(?: to (\d+))? \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    told = {(overlay, service): tuple(int(number or 0) for number in numbers) for overlay, service, *numbers in rows}
    expected = {}
    for overlay in ("small", "event"):
        for service in ("issuance", "order-intake", "quota"):
            own = settings(overlay, service)
            lanes = int(own.get("TIDEGATE_LANES", 0))
            least, most = replicas(overlay, service)
            cluster = find(overlay, "Cluster", f"{service}-database")
            room = int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])
            each = service_source.connections(service, lanes)
            expected[overlay, service] = (lanes, least, most if most != least else 0, each, needed(overlay, service), room)
    assert told == expected


def test_one_autoscaler_at_most_is_on_a_deployment_and_owns_its_count(overlay):
    scalers = of_kind(overlay, "HorizontalPodAutoscaler", "ScaledObject")
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    assert len(targets) == len(set(targets))
    assert set(targets) == {"small": set(), "base": {"gateway"}}.get(overlay, {"gateway", "issuance", "order-intake"})
    for each in of_kind(overlay, "ScaledObject"):
        # It is for the way to zero replicas, where nothing here goes.
        assert each["spec"]["minReplicaCount"] > 0 and "cooldownPeriod" not in each["spec"]
    for deployment in of_kind(overlay, "Deployment"):
        scaled = deployment["metadata"]["name"] in targets
        assert ("replicas" in deployment["spec"]) != scaled, deployment["metadata"]["name"]


def test_budgets_and_scalers_agree_that_somebody_is_left(overlay, service):
    budget = find(overlay, "PodDisruptionBudget", service)
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["spec"]["selector"] == find(overlay, "Deployment", service)["spec"]["selector"]
    least, most = replicas(overlay, service)
    assert least <= most
    if overlay != "small":
        assert least > budget["spec"]["maxUnavailable"]


def test_replicas_of_issuance_never_outnumber_the_lanes(overlay):
    # A lane is served by one replica, so more of them would hold connections for nothing.
    assert replicas(overlay, "issuance")[1] <= int(settings(overlay, "issuance")["TIDEGATE_LANES"])


def test_every_metric_that_scales_is_one_that_a_service_counts(overlay):
    for query in queries(overlay):
        names = re.findall(r"\b(?:tidegate|grpc_server)_\w+", query)
        assert names and set(names) <= service_source.time_series(), query


def queries(overlay):
    """What Prometheus is asked."""
    triggers = [trigger for each in of_kind(overlay, "ScaledObject") for trigger in each["spec"]["triggers"]]
    return [trigger["metadata"]["query"] for trigger in triggers if trigger["type"] == "prometheus"]


def test_the_reader_of_the_source_knows_what_prometheus_stores_of_each_kind():
    known = service_source.time_series()
    assert {"grpc_server_in_flight", "grpc_server_handled_total", "tidegate_commit_queue_delay_seconds_bucket", "tidegate_commit_queue_length"} <= known
    assert not {"grpc_server_handled", "grpc_server_in_flight_total", "tidegate_commit_queue_delay_seconds", "tidegate_commit_queue_length_total"} & known


def test_lost_metrics_are_not_taken_for_no_load():
    assert len(queries("event")) == 3
    for each in of_kind("event", "ScaledObject"):
        for trigger in each["spec"]["triggers"]:
            if trigger["type"] == "prometheus":
                assert trigger["metadata"]["ignoreNullValues"] == "false"
    for query in queries("event"):
        # A constant would be there without any metric; what stands in for an answer must be made of one.
        assert "vector(" not in query and "absent" not in query
        for instead in query.split(" or ")[1:]:
            assert re.fullmatch(r"0 \* sum\(tidegate_\w+\{.*\}\)", instead), query


def test_each_service_scales_on_the_signal_that_the_design_names():
    queries = {
        each["spec"]["scaleTargetRef"]["name"]: [trigger["metadata"].get("query", trigger["type"]) for trigger in each["spec"]["triggers"]]
        for each in of_kind("event", "ScaledObject")
    }
    assert queries["gateway"][0] == "cpu" and "grpc_server_in_flight" in queries["gateway"][1]
    assert "tidegate_commit_queue_delay_seconds" in queries["issuance"][0] and 'queue="coupons"' in queries["issuance"][0]
    assert "tidegate_commit_queue_length" in queries["order-intake"][0] and 'queue="orders"' in queries["order-intake"][0]
    assert '"coupons"' in service_source.read("services/issuance/src/lib.rs")
    assert '"orders"' in service_source.read("services/order-intake/src/store.rs")


def test_issuance_grows_before_the_gateway_makes_shoppers_wait():
    target = service_source.number("services/gateway/src/domain/tuning.rs", r"TARGET_DELAY: Duration = Duration::from_millis\(([\d_]+)\)")
    (trigger,) = find("event", "ScaledObject", "issuance")["spec"]["triggers"]
    assert float(trigger["metadata"]["threshold"]) * 1000 < target


def test_what_the_log_may_grow_to_fits_its_volume(overlay):
    in_gib = lambda size: float(re.fullmatch(r"(\d+)G[Bi]", size).group(1))
    for cluster in of_kind(overlay, "Cluster"):
        name, parameters = cluster["metadata"]["name"], cluster["spec"]["postgresql"]["parameters"]
        volume, most = in_gib(cluster["spec"]["walStorage"]["size"]), in_gib(parameters["max_wal_size"])
        assert most <= volume / 2, name
        # What standbys hold is looked at when a checkpoint ends, and by then as much as one checkpoint writes has come on top.
        assert most + in_gib(parameters["max_slot_wal_keep_size"]) <= volume, name


def test_databases_lose_no_commit_that_was_told(overlay):
    for cluster in of_kind(overlay, "Cluster"):
        spec = cluster["spec"]
        assert not {"fsync", "full_page_writes", "synchronous_commit"} & set(spec["postgresql"]["parameters"])
        if overlay == "small":
            assert spec["instances"] == 1 and "synchronous" not in spec["postgresql"]
        else:
            assert spec["instances"] == 3
            assert spec["primaryUpdateMethod"] == "restart", "a switchover by the operator may promote a standby without acknowledged commits"
            assert spec["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required", "failoverQuorum": True}


def test_the_event_keeps_zones_apart():
    for service in SERVICES:
        (spread,) = pod_of(find("event", "Deployment", service))["spec"]["topologySpreadConstraints"]
        assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("topology.kubernetes.io/zone", "DoNotSchedule")
        # By default tainted nodes count: a zone that is lost would be the emptiest one, and no pod could go anywhere else.
        assert spread["nodeTaintsPolicy"] == "Honor"
        assert replicas("event", service)[0] >= 3


def test_the_day_keeps_the_instances_of_a_database_in_different_zones():
    for cluster in of_kind(FOR_THE_DAY, "Cluster"):
        affinity = cluster["spec"]["affinity"]
        assert affinity == {"enablePodAntiAffinity": True, "podAntiAffinityType": "required", "topologyKey": "topology.kubernetes.io/zone"}


def rows(name):
    """Two columns of numbers of the day's data."""
    with (ROOT / "tests/replay/data" / name).open(encoding="utf-8") as file:
        return [tuple(map(int, row)) for row in list(csv.reader(file))[1:]]


def test_the_readmes_busiest_minute_is_that_of_the_days_data():
    # As the replay joins them: totals from one table, and between two of its points the shape of the minutes from the other.
    minutes = [requests for _, requests in rows("worldcup98-nine-hours.csv")]
    busiest = max(
        (after - before) * max(minutes[begin:end]) / sum(minutes[begin:end])
        for (begin, before), (end, after) in itertools.pairwise(rows("qwen-first-day.csv"))
    )
    (told,) = re.findall(r"busiest minute brought ([\d,]+) orders", (KUBERNETES / "README.md").read_text(encoding="utf-8"))
    assert abs(busiest - int(told.replace(",", ""))) <= 500, busiest
