"""The network policies are the arrows of the design: those, and no others."""

import re

from manifests import FOR_THE_DAY, ROOT, SERVICES, WITH_DATABASE, find, label, of_kind, pod_of, selects

# Of the picture in services/README.md, which a test below reads: who calls whom over gRPC.
ARROWS = {
    ("gateway", "issuance"),
    ("gateway", "quota"),
    ("gateway", "order-intake"),
    ("issuance", "quota"),
    ("quota", "issuance"),
    ("order-intake", "issuance"),
}
FROM_OUTSIDE = {
    ("tidegate.dev/callers", "gateway"),
    ("tidegate.dev/staff", "issuance"),
    ("tidegate.dev/staff", "order-intake"),
    ("tidegate.dev/staff", "quota"),
}
DOOR = ("tidegate.dev/public-door", "gateway")
COLLECTOR = "opentelemetry-collector"


def policy_of(overlay, name):
    return find(overlay, "NetworkPolicy", name)["spec"]


def matched(overlay, peer):
    """The names of whom a peer stands for: pods here, databases, or a label of a namespace."""
    if "namespaceSelector" in peer:
        ((key, value),) = peer["namespaceSelector"]["matchLabels"].items()
        return {key if value == "true" else f"namespace {value}"}
    labels = peer["podSelector"]["matchLabels"]
    if "cnpg.io/cluster" in labels:
        return {labels["cnpg.io/cluster"]}
    pods = {each["metadata"]["name"]: pod_of(each)["metadata"]["labels"] for each in of_kind(overlay, "Deployment", "Job")}
    names = {name for name, own in pods.items() if selects(peer["podSelector"], own)}
    return names or {f"nobody: {labels['app.kubernetes.io/name']}"}


def rules(overlay, policy, direction):
    """(whom, port) for each rule; nothing else may stand in one."""
    found = set()
    side = "from" if direction == "ingress" else "to"
    for rule in policy.get(direction, []):
        assert set(rule) == {side, "ports"}, "a rule without peers or without ports opens everything"
        for peer in rule[side]:
            for name in matched(overlay, peer):
                found |= {(name, port["port"], port["protocol"]) for port in rule["ports"]}
    return found


def test_nothing_is_open_that_no_policy_opens(overlay):
    deny = policy_of(overlay, "default-deny")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in of_kind(overlay, "NetworkPolicy"):
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}, label(policy)


def test_calls_go_along_the_arrows_of_the_design_and_no_others(overlay):
    out, into = set(), set()
    for service in SERVICES:
        policy = policy_of(overlay, service)
        out |= {(service, whom) for whom, port, _ in rules(overlay, policy, "egress") if port == 7000}
        into |= {(whom, service) for whom, port, _ in rules(overlay, policy, "ingress") if port == "grpc"}
    assert out == ARROWS
    assert into == ARROWS | FROM_OUTSIDE | ({DOOR} if overlay == FOR_THE_DAY else set())


def test_the_table_is_the_picture_in_the_architecture():
    text = (ROOT / "services/README.md").read_text(encoding="utf-8")
    picture = text.split("```")[1]
    assert re.search(r"gateway ──► issuance ──►", picture)
    assert re.search(r"├─+► quota ──►", picture) and re.search(r"└─+► order-intake ──►", picture)
    assert "▼  │ seal" in picture and re.search(r"└─+► issuance \(redeem\)", picture)
    # One more each for the databases, and one for the chatbots' backends.
    assert picture.count("►") + picture.count("▼") + picture.count("▲") == len(ARROWS) + len(WITH_DATABASE) + 1


def test_each_service_reaches_its_database_the_collector_and_names_and_nothing_else(overlay, service):
    expected = {(COLLECTOR if overlay == FOR_THE_DAY else f"nobody: {COLLECTOR}", 4317, "TCP")}
    expected |= {("namespace kube-system", 53, protocol) for protocol in ("UDP", "TCP")}
    if service in WITH_DATABASE:
        expected.add((f"{service}-database", 5432, "TCP"))
    beside_calls = {rule for rule in rules(overlay, policy_of(overlay, service), "egress") if rule[1] != 7000}
    assert beside_calls == expected


def test_prometheus_alone_reaches_the_admin_port(overlay, service):
    found = {rule for rule in rules(overlay, policy_of(overlay, service), "ingress") if rule[1] != "grpc"}
    assert found == {("tidegate.dev/monitoring", "admin", "TCP")}


def test_a_migration_reaches_its_database_and_names_and_nothing_reaches_it(overlay, with_database):
    policy = policy_of(overlay, f"{with_database}-migration")
    expected = {(f"{with_database}-database", 5432, "TCP")} | {("namespace kube-system", 53, each) for each in ("UDP", "TCP")}
    assert rules(overlay, policy, "egress") == expected
    assert rules(overlay, policy, "ingress") == set()


def test_a_database_is_reached_by_its_service_and_no_other(overlay):
    for cluster in of_kind(overlay, "Cluster"):
        name = cluster["metadata"]["name"]
        service = name.removesuffix("-database")
        policy = policy_of(overlay, name)
        assert policy["podSelector"] == {"matchLabels": {"cnpg.io/cluster": name}}
        callers = {whom for whom, port, _ in rules(overlay, policy, "ingress") if port == 5432}
        assert callers == {service, f"{service}-migration", name, "namespace cnpg-system"}
        # Open where somebody scrapes them, and closed elsewhere.
        readers = {whom for whom, port, _ in rules(overlay, policy, "ingress") if port == 9187}
        assert readers == ({"tidegate.dev/monitoring"} if overlay == FOR_THE_DAY else set())


def test_the_collector_takes_spans_from_the_services_alone(overlay):
    if overlay != FOR_THE_DAY:
        assert find(overlay, "Deployment", COLLECTOR) is None
        return
    found = rules(overlay, policy_of(overlay, COLLECTOR), "ingress")
    assert found == {(service, "otlp", "TCP") for service in SERVICES}


def test_every_pod_has_a_policy_of_its_own(overlay):
    policies = [each["spec"]["podSelector"] for each in of_kind(overlay, "NetworkPolicy") if each["spec"]["podSelector"]]
    for workload in of_kind(overlay, "Deployment", "Job"):
        own = [each for each in policies if selects(each, pod_of(workload)["metadata"]["labels"])]
        assert len(own) == 1, label(workload)
