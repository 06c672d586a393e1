"""What one object says of another is so."""

import re
import subprocess

from manifests import (
    FOR_THE_DAY, ROOT, SERVICES, WITH_DATABASE, WORKLOADS, containers, environment, find, label, objects, of_kind, pod_of, selects, settings,
)

# Made outside of the manifests; the README says how and with what in it.
BROUGHT_SECRETS = {"coupon-keys", "database-backups", "ticket-keys"}
BROUGHT_CONFIG_MAPS = {"token-keys", "certificate-authority"}


def secrets_made(overlay):
    made = {each["spec"]["secretName"] for each in of_kind(overlay, "Certificate")}
    for cluster in of_kind(overlay, "Cluster"):
        name = cluster["metadata"]["name"]
        made |= {f"{name}-app", f"{name}-ca"}
    return made | BROUGHT_SECRETS


def mentioned(value, key):
    """Every value that stands under a key, anywhere inside."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == key:
                yield inside
            yield from mentioned(inside, key)
    elif isinstance(value, list):
        for inside in value:
            yield from mentioned(inside, key)


def test_every_secret_that_is_read_is_made_or_brought(overlay):
    made = secrets_made(overlay)
    for workload in of_kind(overlay, *WORKLOADS):
        read = {each["name"] for each in mentioned(workload, "secretKeyRef")} | {each["secretName"] for each in mentioned(workload, "secret")}
        assert read <= made, label(workload)


def test_what_must_be_brought_is_in_the_readme():
    readme = (ROOT / "deploy/kubernetes/README.md").read_text(encoding="utf-8")
    for name in BROUGHT_SECRETS | BROUGHT_CONFIG_MAPS:
        assert f"`{name}`" in readme, name


def test_what_must_be_set_is_in_the_readme_with_the_value_that_stands_here():
    readme = (ROOT / "deploy/kubernetes/README.md").read_text(encoding="utf-8")
    table = readme.split("| must be set |")[1].split("\n\n")[0]
    (route,) = of_kind("event", "GRPCRoute")
    (parent,) = route["spec"]["parentRefs"]
    monitors = [each["metadata"]["labels"] for each in of_kind("event", "PodMonitor")]
    told = settings("event", "quota")
    (collector,) = containers(find("event", "Deployment", "opentelemetry-collector"))
    triggers = [trigger["metadata"] for each in of_kind("event", "ScaledObject") for trigger in each["spec"]["triggers"]]
    policies = [find("event", "NetworkPolicy", f"{service}-database") for service in WITH_DATABASE]
    # Databases may talk to anybody at these ports: the API server's, and the object store's.
    (outside,) = {tuple(port["port"] for rule in each["spec"]["egress"] if "to" not in rule for port in rule["ports"]) for each in policies}
    values = {
        *(f"tidegate/{service}" for service in SERVICES), told["TIDEGATE_JWT_ISSUER"], told["TIDEGATE_JWT_AUDIENCE"],
        *route["spec"]["hostnames"], *parent.values(), *(value for labels in monitors for value in labels.values()),
        environment("event", collector)["TRACE_BACKEND"], *(each["serverAddress"] for each in triggers if "serverAddress" in each),
        find("event", "ObjectStore", "database-backups")["spec"]["configuration"]["destinationPath"], *map(str, outside),
        *(value for each in policies for labels in mentioned(each["spec"]["ingress"], "namespaceSelector") for value in labels["matchLabels"].values() if value != "true"),
        find("event", "Certificate", "staff")["spec"]["secretName"],
    }
    assert len(values) > 15
    assert not [value for value in sorted(values) if f"`{value}`" not in table]


def test_every_command_of_the_readme_names_its_namespace():
    readme = (ROOT / "deploy/kubernetes/README.md").read_text(encoding="utf-8")
    for command in re.findall(r"kubectl (?:create|delete|get|scale|wait|rollout)[^|`\n]*", readme):
        assert "--namespace tidegate" in command, command


def test_every_config_map_that_is_read_is_made_or_brought(overlay):
    made = {each["metadata"]["name"] for each in of_kind(overlay, "ConfigMap")} | BROUGHT_CONFIG_MAPS
    for workload in of_kind(overlay, *WORKLOADS):
        read = {each["name"] for each in mentioned(workload, "configMapRef")} | {each["name"] for each in mentioned(workload, "configMap")}
        assert read <= made, label(workload)


def test_a_new_database_gets_the_record_of_changes_from_a_superuser():
    given = (ROOT / "deploy/kubernetes/components/postgresql/change-log.sql").read_text(encoding="utf-8")
    assert given == (ROOT / "shared/pg/queries/change_log.sql").read_text(encoding="utf-8")
    for database in ("issuance", "order-intake", "quota"):
        start = find("event", "Cluster", f"{database}-database")["spec"]["bootstrap"]["initdb"]
        assert start["postInitApplicationSQLRefs"]["configMapRefs"] == [{"name": "change-log", "key": "change-log.sql"}]
    assert find("event", "ConfigMap", "change-log")["data"]["change-log.sql"] == given


def test_a_workload_selects_its_own_pods_and_no_other_does(overlay):
    deployments = of_kind(overlay, "Deployment")
    for deployment in deployments:
        takers = [label(other) for other in deployments if selects(other["spec"]["selector"], pod_of(deployment)["metadata"]["labels"])]
        assert takers == [label(deployment)]
    for job in of_kind(overlay, "Job"):
        labels = pod_of(job)["metadata"]["labels"]
        assert not any(selects(other["spec"]["selector"], labels) for other in deployments), label(job)


def test_services_budgets_and_monitors_select_serving_pods_alone(overlay):
    pods = {label(each): pod_of(each)["metadata"]["labels"] for each in of_kind(overlay, *WORKLOADS)}
    for each in of_kind(overlay, "Service"):
        taken = [name for name, labels in pods.items() if selects({"matchLabels": each["spec"]["selector"]}, labels)]
        assert taken == [f"Deployment/{each['metadata']['name']}"]
    for each in of_kind(overlay, "PodDisruptionBudget"):
        taken = [name for name, labels in pods.items() if selects(each["spec"]["selector"], labels)]
        assert taken == [f"Deployment/{each['metadata']['name']}"]
    # The operator labels its instances so.
    pods |= {label(each): {"cnpg.io/cluster": each["metadata"]["name"], "cnpg.io/podRole": "instance"} for each in of_kind(overlay, "Cluster")}
    expected = {
        "tidegate": {f"Deployment/{service}" for service in SERVICES},
        "databases": {label(each) for each in of_kind(overlay, "Cluster")},
    }
    monitors = of_kind(overlay, "PodMonitor")
    assert len(monitors) == (2 if overlay == FOR_THE_DAY else 0)
    for each in monitors:
        taken = {name for name, labels in pods.items() if selects(each["spec"]["selector"], labels)}
        assert taken == expected[each["metadata"]["name"]]


def test_spread_and_affinity_are_about_the_pod_itself(overlay):
    for deployment in of_kind(overlay, "Deployment"):
        labels = pod_of(deployment)["metadata"]["labels"]
        selectors = list(mentioned(pod_of(deployment)["spec"], "labelSelector"))
        assert selectors and all(selects(selector, labels) for selector in selectors), label(deployment)


def test_every_port_that_is_named_is_there(overlay):
    for deployment in of_kind(overlay, "Deployment"):
        container = containers(deployment)[0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert len(set(ports.values())) == len(ports)
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in ports, label(deployment)
        name = deployment["metadata"]["name"]
        for each in find(overlay, "Service", name)["spec"]["ports"]:
            assert each["targetPort"] in ports
        for rule in find(overlay, "NetworkPolicy", name)["spec"]["ingress"]:
            assert all(port["port"] in ports for port in rule["ports"]), label(deployment)
        if name in SERVICES:
            assert ports == {"grpc": 7000, "admin": 9000}
            if monitor := find(overlay, "PodMonitor", "tidegate"):
                assert all(each["port"] in ports for each in monitor["spec"]["podMetricsEndpoints"])


def test_workloads_name_accounts_and_priorities_that_are_there(overlay):
    for workload in of_kind(overlay, *WORKLOADS):
        spec = pod_of(workload)["spec"]
        account = find(overlay, "ServiceAccount", spec["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False
        assert spec["automountServiceAccountToken"] is False
        if "priorityClassName" in spec:
            assert find(overlay, "PriorityClass", spec["priorityClassName"])


def test_the_namespace_enforces_the_restricted_standard_and_holds_everything(overlay):
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    of_no_namespace = {"Namespace", "PriorityClass"}
    for each in objects(overlay):
        if each["kind"] not in of_no_namespace:
            assert each["metadata"]["namespace"] == namespace["metadata"]["name"], label(each)


def test_every_pod_meets_the_restricted_standard_and_more(overlay):
    for workload in of_kind(overlay, *WORKLOADS):
        security = pod_of(workload)["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] >= 10_000 and security["runAsGroup"] >= 10_000, label(workload)
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(workload):
            own = container["securityContext"]
            assert own == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            for bound in ("requests", "limits"):
                assert set(container["resources"][bound]) == {"cpu", "memory", "ephemeral-storage"}, label(workload)


def test_every_identity_has_one_certificate_that_is_renewed_in_place(overlay):
    names = re.findall(r'=> "([a-z-]+)"', (ROOT / "shared/auth/src/identity.rs").read_text(encoding="utf-8"))
    certificates = [each for each in of_kind(overlay, "Certificate") if not each["spec"].get("isCA")]
    # Chatbot backends are outside: whoever runs them asks the same issuer.
    assert sorted(each["spec"]["dnsNames"] for each in certificates) == sorted([f"{name}.tidegate"] for name in names if name != "chatbot")
    for each in certificates:
        name = each["metadata"]["name"]
        assert each["spec"]["secretName"] == f"{name}-tls"
        assert each["spec"]["privateKey"]["rotationPolicy"] == "Always"
        assert find(overlay, "Issuer", each["spec"]["issuerRef"]["name"])


def test_the_public_door_offers_the_services_of_the_contract(overlay):
    routes = of_kind(overlay, "GRPCRoute")
    if overlay != FOR_THE_DAY:
        assert not routes
        return
    contract = set()
    for file in (ROOT / "proto/tidegate/gateway/v1").glob("*.proto"):
        contract |= {f"tidegate.gateway.v1.{name}" for name in re.findall(r"^service (\w+)", file.read_text(encoding="utf-8"), re.M)}
    (rule,) = routes[0]["spec"]["rules"]
    assert {match["method"]["service"] for match in rule["matches"]} == contract
    (backend,) = rule["backendRefs"]
    assert backend["port"] in [port["port"] for port in find(overlay, "Service", backend["name"])["spec"]["ports"]]
    (policy,) = of_kind(overlay, "BackendTLSPolicy")
    assert policy["spec"]["validation"]["hostname"] == "gateway.tidegate"
    assert policy["spec"]["targetRefs"][0]["name"] == backend["name"]


def test_backups_are_of_clusters_that_archive_their_log(overlay):
    clusters = {each["metadata"]["name"]: each for each in of_kind(overlay, "Cluster")}
    backups = {each["spec"]["cluster"]["name"] for each in of_kind(overlay, "ScheduledBackup")}
    assert backups == (set(clusters) if overlay == FOR_THE_DAY else set())
    for name in backups:
        (plugin,) = clusters[name]["spec"]["plugins"]
        assert plugin["isWALArchiver"] and find(overlay, "ObjectStore", plugin["parameters"]["barmanObjectName"])


# What tests and documents make up, word for word: nothing else that looks like these may stand in a file.
MADE_UP = (
    "-----BEGIN EC " "PRIVATE KEY----- <<<",
    "postgres://role:password@host:port/database",
    "postgres://user:password@host:port/postgres",
    "postgres://{role}:{password}@",
    "postgres://role:password@127.0.0.1:1/database",
    "postgres://role:secret@127.0.0.1:9/name",
    "postgres://role:secret@localhost:5432/name",
    "postgres://somebody:secret@database:5432/somewhere",
    "postgres://tidegate_quota:secret@",
    # In two pieces, so that nobody takes these lines for keys.
    r"-----BEGIN " r"PRIVATE KEY-----\nMC4CAQ",
    '"-----BEGIN ' 'RSA PRIVATE KEY-----"',
)


def test_no_secret_is_in_the_repository():
    suspicious = re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY|kind: Secret\s*$|^\s*stringData:|AKIA[0-9A-Z]{16}|postgres(?:ql)?://[^\s:/]+:[^\s@*]+@|eyJ[\w-]{20,}\.eyJ", re.M
    )
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    assert len(files) > 500
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        for words in MADE_UP:
            text = text.replace(words, "")
        found += [f"{file.relative_to(ROOT)}: {each.group()}" for each in suspicious.finditer(text)]
    assert not found, "\n".join(found)
