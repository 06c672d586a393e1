"""Every table of the two distributed services has its place on a Citus cluster."""

import re

import service_source
from manifests import KUBERNETES, ROOT, find, of_kind, pod_of


def tables(service):
    """Every table of the migrations and whether its rows belong to a lane."""
    found = {}
    for file in sorted((ROOT / "services" / service / "migrations").glob("*.sql")):
        text = file.read_text(encoding="utf-8")
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", text, re.S):
            found[name] = bool(re.search(r"^\s+lane smallint NOT NULL", body, re.M))
        for name in re.findall(r"DROP TABLE (\w+)", text):
            found.pop(name, None)
        for old, new in re.findall(r"ALTER TABLE (\w+) RENAME TO (\w+)", text):
            found[new] = found.pop(old)
    return found


def lists(service):
    text = (KUBERNETES / f"components/citus/distribute-{service}.sql").read_text(encoding="utf-8")
    return [re.findall(r"'(\w+)'", re.search(rf"{name} text\[\] := ARRAY\[(.*?)\]", text).group(1)) for name in ("copied", "by_lane")]


def test_every_table_is_distributed_by_lane_or_copied(on_citus):
    copied, by_lane = lists(on_citus)
    expected = tables(on_citus)
    assert len(expected) > 4
    assert sorted(by_lane) == sorted(name for name, has_lane in expected.items() if has_lane)
    assert sorted(copied) == sorted(name for name, has_lane in expected.items() if not has_lane)


def test_every_key_of_a_distributed_table_holds_the_lane(on_citus):
    _, by_lane = lists(on_citus)
    for file in (ROOT / "services" / on_citus / "migrations").glob("*.sql"):
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", file.read_text(encoding="utf-8"), re.S):
            for columns in re.findall(r"(?:PRIMARY KEY|UNIQUE|FOREIGN KEY) \(([^)]*)\)", body):
                if name in by_lane:
                    assert "lane" in re.split(r",\s*", columns), f"{name}: ({columns})"
        for name, columns in re.findall(r"CREATE UNIQUE INDEX \w+ ON (\w+) \(([^)]*)\)", file.read_text(encoding="utf-8")):
            if name in by_lane:
                assert "lane" in re.split(r",\s*", columns), f"{name}: ({columns})"


def test_a_table_is_distributed_after_the_one_it_refers_to(on_citus):
    _, by_lane = lists(on_citus)
    for file in (ROOT / "services" / on_citus / "migrations").glob("*.sql"):
        for name, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", file.read_text(encoding="utf-8"), re.S):
            for other in re.findall(r"REFERENCES (\w+)", body):
                if name in by_lane:
                    assert by_lane.index(other) < by_lane.index(name)


def test_the_step_does_nothing_without_the_extension_and_stops_at_a_fault(on_citus):
    text = (KUBERNETES / f"components/citus/distribute-{on_citus}.sql").read_text(encoding="utf-8")
    assert text.index("extname = 'citus'") < text.index("RAISE EXCEPTION") < text.index("RETURN;") < text.index("create_reference_table")
    job = find("distributed", "Job", f"{on_citus}-distribution")
    container = pod_of(job)["spec"]["containers"][0]
    assert "--set=ON_ERROR_STOP=1" in container["args"] and "--single-transaction" in container["args"]


def test_the_overlay_for_citus_takes_no_database_without_it(on_citus):
    switch = "tidegate.citus_required"
    assert f"current_setting('{switch}', TRUE) = 'on'" in (KUBERNETES / f"components/citus/distribute-{on_citus}.sql").read_text(encoding="utf-8")
    (container,) = pod_of(find("distributed", "Job", f"{on_citus}-distribution"))["spec"]["containers"]
    assert {"name": "PGOPTIONS", "value": f"-c {switch}=on"} in container["env"]


def test_only_quota_keeps_a_database_of_the_operator():
    assert [each["metadata"]["name"] for each in of_kind("distributed", "Cluster", "ScheduledBackup")] == ["quota-database"] * 2
    assert "TIDEGATE_LANES" in service_source.variables_of("issuance")[0]
