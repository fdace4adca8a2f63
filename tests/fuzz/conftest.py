"""At the end the fuzz tests say how many examples they really tried."""

from fuzzing import TRIED


def pytest_terminal_summary(terminalreporter):
    """Print the count of each test and the sum."""
    if TRIED:
        terminalreporter.section("examples tried")
        for name, count in sorted(TRIED.items()):
            terminalreporter.write_line(f"{count:9,}  {name}")
        terminalreporter.write_line(f"{TRIED.total():9,}  in all")
