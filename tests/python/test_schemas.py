"""Every overlay renders, and Kubernetes would take what comes out."""

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from manifests import KUBERNETES, OVERLAYS, find, label, objects, render_with, renderers, rendered_text

# A current version; kubernetes-validate carries its schemas.
KUBERNETES_VERSION = "1.37.0"
# Kinds of operators, and the npm package that has their types.
OF_OPERATORS = {
    "barmancloud.cnpg.io/v1": None,
    "cert-manager.io/v1": "cert-manager",
    "gateway.networking.k8s.io/v1": "gateway-api",
    "keda.sh/v1alpha1": "keda",
    "monitoring.coreos.com/v1": "prometheus-operator",
    "postgresql.cnpg.io/v1": "cloudnative-pg",
}


def test_every_kustomize_renders_an_overlay_alike(overlay):
    expected = sorted(json.dumps(each, sort_keys=True) for each in objects(overlay))
    for name, command in renderers().items():
        documents = yaml.safe_load_all(render_with(command, overlay))
        assert sorted(json.dumps(each, sort_keys=True) for each in documents if each) == expected, name


def test_the_schemas_of_kubernetes_accept_every_object_strictly(overlay):
    faults = []
    for each in objects(overlay):
        if each["apiVersion"] in OF_OPERATORS:
            continue
        try:
            kubernetes_validate.validate(each, KUBERNETES_VERSION, strict=True)
        except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as fault:
            faults.append(f"{label(each)}: {fault}")
    assert not faults, "\n".join(faults)


def test_a_misspelt_field_is_seen():
    deployment = json.loads(json.dumps(find("small", "Deployment", "issuance")))
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES_VERSION, strict=True)


def compile_typed(resources, folder):
    """Compiles custom resources as literals of their types, which refuses unknown fields, missing ones and wrong values."""
    tools = Path(os.environ.get("CUSTOM_RESOURCES_OF_NPM", "/nonexistent"))
    compiler = tools / "node_modules" / "typescript" / "bin" / "tsc"
    if not compiler.is_file() or not shutil.which("node"):
        message = "the types of custom resources could not be fetched from npm"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    (folder / "node_modules").symlink_to(tools / "node_modules")
    kinds = sorted({(each["apiVersion"], each["kind"]) for each in resources})
    lines = [f'import type {{ I{kind} }} from "@kubernetes-models/{OF_OPERATORS[api]}/{api}/{kind}";' for api, kind in kinds]
    lines += [f"export const object{number}: I{each['kind']} = {json.dumps(each)};" for number, each in enumerate(resources)]
    source = folder / "objects.ts"
    source.write_text("\n".join(lines), encoding="utf-8")
    options = "--noEmit --strict --skipLibCheck --module nodenext --moduleResolution nodenext --target es2022".split()
    return subprocess.run(["node", compiler, *options, source], capture_output=True, text=True, check=False)


def custom_resources(overlay):
    return [each for each in objects(overlay) if OF_OPERATORS.get(each["apiVersion"])]


def test_the_operators_types_accept_every_custom_resource(overlay, tmp_path):
    assert len(custom_resources(overlay)) > 9
    done = compile_typed(custom_resources(overlay), tmp_path)
    assert done.returncode == 0, done.stdout


def test_a_misspelt_field_of_a_custom_resource_is_seen(tmp_path):
    cluster = json.loads(json.dumps(find("event", "Cluster", "issuance-database")))
    cluster["spec"]["postgresql"]["synchronous"]["failoverQourum"] = True
    done = compile_typed([cluster], tmp_path)
    assert done.returncode != 0 and "failoverQourum" in done.stdout


def test_an_object_is_there_once(overlay):
    seen = [(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in objects(overlay)]
    assert len(seen) == len(set(seen))


@functools.cache
def waivers():
    return {each["check"]: each for each in yaml.safe_load((KUBERNETES / "checkov-waivers.yaml").read_text(encoding="utf-8"))}


@pytest.fixture(scope="session")
def findings(tmp_path_factory):
    """What checkov finds, as pairs of check and resource by file: one run for all, since most of its time is its start."""
    folder = tmp_path_factory.mktemp("checkov")
    for overlay in OVERLAYS:
        (folder / f"{overlay}.yaml").write_text(rendered_text(overlay), encoding="utf-8")
    shutil.copy(KUBERNETES.parent / "docker" / "Dockerfile", folder)
    options = ["--skip-download", "--quiet", "--compact", "--output", "json", "--framework", "kubernetes", "dockerfile"]
    done = subprocess.run(
        [sys.executable, "-m", "checkov.main", *options, "--directory", folder],
        capture_output=True, text=True, check=False, env={**os.environ, "LOG_LEVEL": "ERROR"},
    )
    reports = json.loads(done.stdout)
    assert {each["check_type"] for each in reports} == {"kubernetes", "dockerfile"}
    assert all(each["summary"]["passed"] > 10 and not each["summary"]["parsing_errors"] for each in reports)
    found = {}
    for report in reports:
        for check in report["results"]["failed_checks"]:
            found.setdefault(check["file_path"].lstrip("/"), set()).add((check["check_id"], check["resource"]))
    return found


def test_checkov_finds_nothing_in_the_manifests_but_what_is_waived(findings, overlay):
    def is_waived(check, resource):
        return check in waivers() and resource.split(".")[0] in waivers()[check]["kinds"]
    assert not [each for each in findings[f"{overlay}.yaml"] if not is_waived(*each)]


def test_checkov_finds_nothing_in_the_dockerfile_but_what_is_waived(findings):
    assert {check for check, _ in findings["Dockerfile"]} == {check for check in waivers() if check.startswith("CKV_DOCKER")}


def test_every_waiver_is_needed_and_gives_its_reason(findings):
    failed = {check for file in findings.values() for check, _ in file}
    assert set(waivers()) == failed
    assert all(len(each["because"].split()) > 10 for each in waivers().values())
