"""What the images are made of."""

import functools
import re
import shutil
import subprocess

import license_expression
import pytest

from manifests import ROOT, SERVICES

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
SPDX = license_expression.get_spdx_licensing()


@functools.cache
def rules():
    return tomllib.loads((ROOT / "deploy/docker/deny.toml").read_text(encoding="utf-8"))


@functools.cache
def crates():
    """What goes into the binaries, and under which licence."""
    command = ["cargo", "tree", "--locked", "--edges", "normal,build", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}|{l}"]
    packages = [word for service in (*SERVICES, "ctl") for word in ("--package", f"tidegate-{service}")]
    done = subprocess.run([*command, *packages], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in filter(None, done.stdout.splitlines()):
        package, licence = line.split("|")
        found[package.split()[0]] = licence.removesuffix(" (*)").strip()
    assert len(found) > 100
    return found


def is_allowed(licence):
    """Whether one of the choices that a licence leaves consists of allowed ones."""
    def holds(node):
        if isinstance(node, license_expression.LicenseWithExceptionSymbol):
            return str(node) in rules()["licenses"]["allow"]
        if isinstance(node, license_expression.LicenseSymbol):
            return node.key in rules()["licenses"]["allow"]
        return (any if node.operator.strip() == "OR" else all)(holds(each) for each in node.args)
    # Old manifests write a slash for "or".
    return holds(SPDX.parse(re.sub(r"\s*/\s*", " OR ", licence), validate=True))


def test_every_licence_is_allowed():
    faults = {name: licence for name, licence in crates().items() if not licence or not is_allowed(licence)}
    assert not faults


def test_every_allowed_licence_is_needed():
    text = " ".join(crates().values())
    assert not [each for each in rules()["licenses"]["allow"] if each not in text]


@pytest.mark.parametrize(("licence", "expected"), [
    ("MIT/Apache-2.0", True), ("GPL-3.0-only", False), ("GPL-3.0-only OR MIT", True), ("MIT AND GPL-3.0-only", False),
    ("Apache-2.0 WITH LLVM-exception", False),
])
def test_a_choice_is_enough_and_a_part_is_not(licence, expected):
    assert is_allowed(licence) == expected


def test_no_banned_crate_is_in_a_binary():
    assert not [each["crate"] for each in rules()["bans"]["deny"] if each["crate"] in crates()]


def test_every_crate_comes_from_an_allowed_registry():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text(encoding="utf-8"))
    allowed = {f"registry+{each}" for each in rules()["sources"]["allow-registry"]}
    for package in lock["package"]:
        source = package.get("source")
        assert source is None and package["name"].startswith("tidegate") or source in allowed, package["name"]
        assert source is None or "checksum" in package


def test_cargo_deny_agrees_where_there_is_one():
    # The one tool whose absence fails nothing, with CI=true either: no registry has it built, and compiling it takes minutes.
    if not shutil.which("cargo-deny"):
        pytest.skip("there is no cargo-deny (cargo install --locked cargo-deny); the tests above hold the crates against the same rules")
    command = ["cargo", "deny", "--config", "deploy/docker/deny.toml", "--locked", "check", "bans", "licenses", "sources"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def stages():
    """Each stage of the Dockerfile with what it stands on and its instructions."""
    found = {}
    for part in re.split(r"^FROM ", DOCKERFILE.read_text(encoding="utf-8"), flags=re.M)[1:]:
        head, body = part.split("\n", 1)
        base, name = head.split(" AS ")
        found[name] = (base, body)
    return found


def test_each_service_has_a_stage_that_runs_its_binary_and_holds_nothing_else():
    for service in SERVICES:
        base, body = stages()[service]
        binary = f"/usr/local/bin/tidegate-{service}"
        assert base == "runtime"
        assert re.findall(r"^COPY .*$", body, re.M) == [f"COPY --from=build /src/target/release/tidegate-{service} {binary}"]
        assert f'ENTRYPOINT ["{binary}"]' in body and 'CMD ["serve"]' in body
        assert "RUN" not in body


def test_the_tool_of_staff_has_an_image_of_its_own():
    base, body = stages()["ctl"]
    assert base == "runtime"
    assert re.findall(r"^COPY .*$", body, re.M) == ["COPY --from=build /src/target/release/tidegatectl /usr/local/bin/tidegatectl"]
    assert 'ENTRYPOINT ["/usr/local/bin/tidegatectl"]' in body and "CMD" not in body


def test_the_runtime_is_a_numbered_user_without_a_shell():
    base, body = stages()["runtime"]
    assert base.startswith("gcr.io/distroless/")
    user = int(re.search(r"^USER (\d+):\1$", body, re.M).group(1))
    assert user >= 10_000
    assert not re.search(r"^(RUN|COPY|ADD|SHELL)", body, re.M)
    for argument in ("VERSION", "REVISION"):
        assert f"ARG {argument}" in body and f'${{{argument}}}' in body


def test_a_release_can_pin_every_base_by_digest():
    bake = (ROOT / "deploy/docker/docker-bake.hcl").read_text(encoding="utf-8")
    bases = {base for base, _ in stages().values() if base not in stages()}
    defaults = dict(re.findall(r'variable "(\w+_IMAGE)" \{\n  default = "([^"]+)"', bake))
    replaced = dict(re.findall(r'"([^"]+)"\s+= "docker-image://\$\{(\w+)\}"', bake))
    assert set(replaced) == bases
    assert {base: defaults[variable] for base, variable in replaced.items()} == {base: base for base in bases}


def test_dependencies_are_built_before_the_sources_come_and_everything_is_locked():
    body = stages()["build"][1]
    assert body.index("cargo chef cook") < body.index("COPY . .") < body.index("cargo auditable build")
    for command in re.findall(r"cargo (?:chef cook|auditable build|install).*", DOCKERFILE.read_text(encoding="utf-8")):
        assert "--locked" in command


def test_the_manifests_and_the_build_name_the_same_images_and_version():
    bake = (ROOT / "deploy/docker/docker-bake.hcl").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["version"]
    assert f'default = "{version}"' in bake
    for service in SERVICES:
        assert f'"{service}"' in bake
        assert f"image: tidegate/{service}:{version}" in (ROOT / f"deploy/kubernetes/base/{service}/deployment.yaml").read_text(encoding="utf-8")


def test_the_compiler_of_the_image_is_new_enough():
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["package"]["rust-version"]
    given = re.search(r"^rust:(\d+\.\d+)", stages()["tools"][0]).group(1)
    assert tuple(map(int, given.split("."))) >= tuple(map(int, wanted.split(".")))


def test_what_the_build_reads_is_not_ignored():
    ignored = (ROOT / "deploy/docker/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    members = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["workspace"]["members"]
    for member in members:
        assert any(f"!{folder}" in ignored for folder in (member, member.split("/")[0])), member
