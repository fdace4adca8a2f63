from sedna_tinyms.testing import libraries

AVAILABLE, REASON = libraries()


def pytest_generate_tests(metafunc):
    """Run a test that asks for a library with each one that is here."""
    wanted = {"library": AVAILABLE, "kubeedge": AVAILABLE[1:]}
    for name, found in wanted.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, found, ids=[library.name for library in found])


def pytest_collection_modifyitems(config, items):
    """Leave out what needs KubeEdge's library where that is absent."""
    absent = [item for item in items if "kubeedge" in item.fixturenames and not AVAILABLE[1:]]
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if item not in absent]


def pytest_terminal_summary(terminalreporter):
    if REASON:
        terminalreporter.write_line(REASON)
