"""A replica goes without a failed call, and comes without one."""

import re

import service_source
from manifests import containers, find, of_kind, pod_of, settings

# What lies between a pod's leaving and the last caller's hearing of it.
DNS_CACHE_SECONDS = 5


def timing(overlay, service):
    told = settings(overlay, service)
    of = lambda name: int(told.get(name, service_source.default_of(name))) / 1000
    container = containers(find(overlay, "Deployment", service))[0]
    return container["lifecycle"]["preStop"]["sleep"]["seconds"], of("TIDEGATE_LAME_DUCK_MS"), of("TIDEGATE_DRAIN_MS")


def resolve_seconds():
    return service_source.number("shared/rpc/src/client/replicas.rs", r"RESOLVE_INTERVAL: Duration = Duration::from_secs\((\d+)\)")


def test_the_grace_period_is_longer_than_all_steps_of_the_drain(overlay, service):
    before, lame_duck, drain = timing(overlay, service)
    flush = service_source.number("shared/telemetry/src/spans.rs", r"SHUTDOWN_TIMEOUT: Duration = Duration::from_secs\((\d+)\)")
    # Calls in flight and the service's own last work have the drain's time each.
    host = service_source.read("shared/runtime/src/host.rs")
    assert host.count("drain(settings.drain,") == 1 and host.count("timeout(limit,") == 2
    grace = pod_of(find(overlay, "Deployment", service))["spec"]["terminationGracePeriodSeconds"]
    assert grace > before + lame_duck + 2 * drain + flush


def test_callers_hear_of_a_leaving_replica_before_it_takes_no_more_calls(overlay, service):
    before, lame_duck, _ = timing(overlay, service)
    assert before + lame_duck > DNS_CACHE_SECONDS + resolve_seconds()


def test_a_call_in_flight_may_use_its_whole_deadline(overlay, service):
    longest = service_source.number("shared/rpc/src/server/deadline.rs", r"MAX_DEADLINE: Duration = Duration::from_secs\((\d+)\)")
    assert timing(overlay, service)[2] > longest


def test_a_new_replica_is_used_within_ten_seconds():
    assert DNS_CACHE_SECONDS + resolve_seconds() < 10


def test_a_rolling_update_never_takes_a_replica_before_its_successor_is_known(overlay, service):
    spec = find(overlay, "Deployment", service)["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert spec["minReadySeconds"] > DNS_CACHE_SECONDS + resolve_seconds()


def test_probes_differ_and_none_restarts_a_process_for_its_database(overlay, service):
    container = containers(find(overlay, "Deployment", service))[0]
    paths = {probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}
    admin = service_source.read("shared/runtime/src/admin.rs")
    assert re.search(r'route\("/livez", get\(\|\| async \{ "ok\\n" \}\)\)', admin), "/livez must look at nothing"
    liveness, readiness, startup = (container[f"{name}Probe"] for name in ("liveness", "readiness", "startup"))
    patience = lambda probe: probe["periodSeconds"] * probe["failureThreshold"]
    # With every processor busy an answer may take a second or two, and a replica taken out for that leaves its load to the next one. Callers see a dead replica by themselves,
    # so this need not be quick; but it must be, well before a restart, for whoever does not look: a Gateway's proxies.
    assert readiness["timeoutSeconds"] >= 2 and readiness["failureThreshold"] >= 5
    assert patience(readiness) <= 10 < 30 <= patience(liveness)


def test_a_start_waits_for_its_database_longer_in_kubernetes_than_by_itself(overlay, with_database):
    seconds = lambda name: service_source.number("shared/pg/src/database.rs", rf"const {name}: Duration = Duration::from_secs\((\d+)\)")
    by_itself = seconds("START_PATIENCE") + seconds("START_RETRY_INTERVAL") + seconds("CONNECT_TIMEOUT")
    probe = containers(find(overlay, "Deployment", with_database))[0]["startupProbe"]
    # Killed by the probe it would leave no sentence behind.
    assert probe["periodSeconds"] * probe["failureThreshold"] > by_itself + 10


def test_a_migration_may_run_beside_the_old_version_and_again(overlay, with_database):
    job = find(overlay, "Job", f"{with_database}-migration")
    assert pod_of(job)["spec"]["restartPolicy"] == "OnFailure" and job["spec"]["backoffLimit"] >= 10
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    # Schema changes are the Job's: no two replicas of different versions do so by themselves.
    assert "TIDEGATE_MIGRATE_ON_START" not in settings(overlay, with_database)


def test_databases_do_not_wait_for_services_that_never_hang_up(overlay):
    for cluster in of_kind(overlay, "Cluster"):
        assert cluster["spec"]["smartShutdownTimeout"] <= 5
