"""What the services' own source says, so that the manifests cannot drift away from it."""

import functools
import re

from manifests import ROOT, SERVICES

# A variable of PostgreSQL's client library, which sqlx reads where the URL does not say.
READ_BY_SQLX = {"PGSSLMODE", "PGSSLROOTCERT"}
READ_BY_ALL = ("shared/runtime/src/settings.rs",)


def read(path):
    """A source file without its tests."""
    return (ROOT / path).read_text(encoding="utf-8").split("#[cfg(test)]\nmod tests")[0]


def number(path, pattern):
    """The number that a pattern finds; the pattern must fit exactly once."""
    found = re.findall(pattern, read(path))
    assert len(found) == 1, f"{pattern} fits {len(found)} times in {path}: the test must follow the source"
    return int(found[0].replace("_", ""))


@functools.cache
def variables_of(service):
    """What a service reads: the required variables and all of them. `config.rs` calls the reader of tokens for those of JWT."""
    shared = "".join(read(path) for path in READ_BY_ALL)
    if service == "quota":
        token_reader = "read_token_settings"
        assert token_reader in read("services/quota/src/config.rs")
    own = read(f"services/{service}/src/config.rs")
    text = shared + own
    every = set(re.findall(r'"(TIDEGATE_[A-Z0-9_]+)"', text))
    required = set(
        re.findall(r'(?:required|listen_address|file|addresses)\(\s*"(TIDEGATE_[A-Z0-9_]+)"', text)
    )
    if re.search(r"\.lanes\(\)", own):
        every.add("TIDEGATE_LANES")
        required.add("TIDEGATE_LANES")
    return frozenset(required), frozenset(every)


def connections(service, lanes):
    """Database connections that one replica takes at most, by its README, which a test holds against a running replica."""
    found = re.findall(r"A replica takes at most `(?:(?:(\d+) × )?(lanes) \+ )?(\d+)` database connections", read(f"services/{service}/README.md"))
    assert len(found) == 1, f"services/{service}/README.md says {len(found)} times how many connections a replica takes"
    of_a_lane, lane, others = found[0]
    return (lanes * int(of_a_lane or 1) if lane else 0) + int(others)


def default_of(variable):
    """The default of a setting that every service has."""
    return number("shared/runtime/src/settings.rs", rf'"{variable}",\s*([\d_]+),')


# What Prometheus stores of each kind of metric.
SERIES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


@functools.cache
def time_series():
    """The name of every time series that a service registers or declares in a table: the metric's own, and what its kind appends."""
    found = set()
    for folder in ("shared", *(f"services/{service}" for service in SERVICES)):
        for file in (ROOT / folder).rglob("src/**/*.rs"):
            text = file.read_text(encoding="utf-8")
            for name, field in re.findall(r'\.register\(\s*"(\w+)",\s*"[^"]*",\s*(?:\w+\.)?(\w+)\.clone\(\)', text):
                kinds = set(re.findall(rf"\b{field}: (?:Family<\w+, )?(Counter|Gauge|Histogram)\b", text))
                assert len(kinds) == 1, f"{file}: {name} is of the kinds {kinds}: the test must follow the source"
                found |= {name + suffix for suffix in SERIES[kinds.pop()]}
            declared = r'\w+: (?:Family<[^=\n]*, )?(Counter|Gauge|Histogram)\b[^=\n]*= [^,"]*,\s*"(\w+)", "[^"]*";'
            for kind, name in re.findall(declared, text):
                found |= {name + suffix for suffix in SERIES[kind]}
    assert len(found) > 30
    return frozenset(found)
