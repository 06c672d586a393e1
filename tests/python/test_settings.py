"""Every process is told what it needs, and nothing that it does not know."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

import service_source
from manifests import KUBERNETES, SERVICES, WITH_DATABASE, WORKLOADS, containers, environment, label, objects, of_kind, pod_of, settings

MOUNTED = "/etc/tidegate"
DATABASE_URL = "postgres://somebody:secret@database:5432/somewhere"


def processes(overlay):
    """Every container that runs a service's image, with that service's name."""
    for workload in of_kind(overlay, *WORKLOADS):
        for container in containers(workload):
            service = container["image"].rsplit(":", 1)[0].removeprefix("tidegate/")
            if service in SERVICES:
                yield service, workload, container


def test_every_service_has_a_process_and_every_database_a_migration(overlay):
    found = {(service, tuple(container["args"])) for service, _, container in processes(overlay)}
    assert found == {(service, ("serve",)) for service in SERVICES} | {(service, ("migrate",)) for service in WITH_DATABASE}


def test_every_variable_is_known_to_its_service_and_every_required_one_is_set(overlay):
    for service, workload, container in processes(overlay):
        required, known = service_source.variables_of(service)
        told = set(environment(overlay, container))
        assert told - known - service_source.READ_BY_SQLX == set(), label(workload)
        assert required - told == set(), label(workload)
        if service not in WITH_DATABASE:
            assert not told & service_source.READ_BY_SQLX, label(workload)


def test_the_reader_of_the_source_finds_what_the_services_need():
    for service in SERVICES:
        required, known = service_source.variables_of(service)
        assert {"TIDEGATE_LISTEN", "TIDEGATE_REPLICA_ID", "TIDEGATE_TLS_KEY_FILE", "TIDEGATE_JWT_ISSUER"} <= required
        assert "TIDEGATE_DRAIN_MS" in known - required
        assert ("TIDEGATE_DATABASE_URL" in required) == (service in WITH_DATABASE)
        assert ("TIDEGATE_LANES" in required) == (service != "quota")


def test_a_migration_is_told_the_same_as_its_service(overlay):
    told = {}
    for service, _, container in processes(overlay):
        told.setdefault(service, []).append((environment(overlay, container), container["volumeMounts"]))
    for each in told.values():
        assert all(other == each[0] for other in each)


def test_lanes_are_the_same_everywhere(overlay):
    lanes = {settings(overlay, service).get("TIDEGATE_LANES") for service in SERVICES if service != "quota"}
    assert len(lanes) == 1 and None not in lanes
    assert "TIDEGATE_LANES" not in settings(overlay, "quota")


def test_the_database_is_reached_over_tls_and_its_name_is_checked(overlay, with_database):
    told = settings(overlay, with_database)
    assert told["PGSSLMODE"] == "verify-full"
    assert told["TIDEGATE_DATABASE_URL"] == ("secret", f"{with_database}-database-app/uri")


def test_a_replica_is_named_after_its_pod_which_survives_a_restart(overlay, service):
    assert settings(overlay, service)["TIDEGATE_REPLICA_ID"] == ("pod", "metadata.name")


def test_every_file_that_is_named_is_mounted_as_part_of_a_folder(overlay):
    for _, workload, container in processes(overlay):
        volumes = {volume["name"]: volume for volume in pod_of(workload)["spec"]["volumes"]}
        mounts = container["volumeMounts"]
        # A file mounted by itself is never renewed.
        assert all("subPath" not in mount and mount["readOnly"] for mount in mounts), label(workload)
        assert {mount["name"] for mount in mounts} == set(volumes), label(workload)
        named = [value for value in environment(overlay, container).values() if isinstance(value, str) and value.startswith("/")]
        assert named
        for file in named:
            folder, name = file.rsplit("/", 1)
            mount = next((mount for mount in mounts if mount["mountPath"] == folder), None)
            assert mount, f"{label(workload)} mounts nothing at {folder}"
            items = next((source["items"] for source in volumes[mount["name"]].values() if isinstance(source, dict) and "items" in source), None)
            assert items is None or name in {item["path"] for item in items}


def lay_out_files(folder):
    """What is mounted, with contents that the services take."""
    keys = json.dumps({"active": 1, "keys": {"1": base64.b64encode(bytes(range(32))).decode()}})
    contents = {
        "tls/ca.crt": "", "tls/tls.crt": "", "tls/tls.key": "", "token-keys/jwks.json": '{"keys":[]}', "database-ca/ca.crt": "",
        "coupon-keys/coupon-keys.json": keys, "ticket-keys/ticket-keys.json": keys,
    }
    for name, text in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def check_config(service, told, folder):
    binary = Path(os.environ["TIDEGATE_BIN_DIR"]) / f"tidegate-{service}"
    if not binary.is_file():
        message = f"there is no {binary}: cargo build --package tidegate-{service}"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    lay_out_files(folder)
    of_elsewhere = {"TIDEGATE_DATABASE_URL": DATABASE_URL, "TIDEGATE_REPLICA_ID": f"{service}-5d8f9c7b6d-x2x4z"}
    variables = {
        name: (of_elsewhere[name] if isinstance(value, tuple) else value.replace(MOUNTED, str(folder)))
        for name, value in told.items()
    }
    return subprocess.run([binary, "check-config"], env=variables, capture_output=True, text=True, check=False, timeout=30)


def test_the_service_itself_accepts_its_settings(overlay, service, tmp_path):
    done = check_config(service, settings(overlay, service), tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_service_itself_refuses_settings_that_lack_one(service, tmp_path):
    told = dict(settings("small", service))
    del told["TIDEGATE_LISTEN"]
    done = check_config(service, told, tmp_path)
    assert done.returncode == 2 and "TIDEGATE_LISTEN must be set" in done.stderr


def test_addresses_are_services_with_a_port_of_that_number(overlay):
    for _, workload, container in processes(overlay):
        for name, value in environment(overlay, container).items():
            if not name.endswith("_ADDRESSES"):
                continue
            host, port = value.split(":")
            assert name == f"TIDEGATE_{host.upper().replace('-', '_')}_ADDRESSES", label(workload)
            service = next(each for each in objects(overlay) if each["kind"] == "Service" and each["metadata"]["name"] == host)
            assert [each["port"] for each in service["spec"]["ports"]] == [int(port)]
            # Names of replicas, and not of one address before them: callers choose by lane and see who is gone.
            assert service["spec"]["clusterIP"] == "None"
            assert service["spec"]["publishNotReadyAddresses"] is False


def test_the_collector_is_where_the_services_send_their_spans(overlay):
    endpoints = {settings(overlay, service).get("TIDEGATE_OTLP_ENDPOINT") for service in SERVICES}
    collectors = [each for each in of_kind(overlay, "Service") if each["metadata"]["name"] == "opentelemetry-collector"]
    if not collectors:
        assert endpoints == {None}
        return
    configuration = yaml.safe_load((KUBERNETES / "components/observability/collector.yaml").read_text(encoding="utf-8"))
    (pipeline,) = configuration["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) == set(configuration[kind])
    # Old names of exporters that the collector still takes, and will not for ever.
    assert not {"otlp", "otlphttp"} & set(configuration["exporters"])
    port = collectors[0]["spec"]["ports"][0]["port"]
    assert endpoints == {f"http://opentelemetry-collector:{port}"}
