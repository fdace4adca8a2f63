from sedna_tinyms.testing import libraries

AVAILABLE, REASON = libraries()


def pytest_generate_tests(metafunc):
    """Run a test that asks for a library with each one that is here."""
    if "library" in metafunc.fixturenames:
        metafunc.parametrize("library", AVAILABLE, ids=[library.name for library in AVAILABLE])


def pytest_terminal_summary(terminalreporter):
    if REASON:
        terminalreporter.write_line(REASON)
