"""Every test that takes an overlay or a service runs for each of them."""

import manifests


def pytest_generate_tests(metafunc):
    if "overlay" in metafunc.fixturenames:
        metafunc.parametrize("overlay", manifests.OVERLAYS)
    if "service" in metafunc.fixturenames:
        metafunc.parametrize("service", manifests.SERVICES)
    if "with_database" in metafunc.fixturenames:
        metafunc.parametrize("with_database", manifests.WITH_DATABASE)
