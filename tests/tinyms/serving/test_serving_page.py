"""The web page, in a Chromium without a window."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright
from servables import Servables
from serving_http import start

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
SCRIPT = "</li><script>document.title='taken'</script>"
TOKEN = "a-token-of-some-length"  # noqa: S105 - made up for the tests
LIMIT_MILLISECONDS = 60_000


@pytest.fixture(scope="module")
def chromium():
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "chromium is not installed, or not on PATH"
    with sync_playwright() as playwright:
        expect.set_options(timeout=LIMIT_MILLISECONDS)
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Return a function that opens the page of a server; nothing may appear on its console."""
    contexts, said = [], []

    def open_page(http, **options):
        contexts.append(chromium.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(LIMIT_MILLISECONDS)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{http.url}/")
        return page

    open_page.console = said
    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Return a server whose servable is described in HTML, as are its classes."""
    servables = Servables(tmp_path_factory.mktemp("hostile"))
    servables.add_small("hostile", 0, (HOSTILE, SCRIPT))
    servables.entries[0]["description"] = HOSTILE
    servables.write()
    with start(servables) as http:
        yield http


def values(page, selector):
    return page.locator(f"{selector} option").evaluate_all("all => all.map((one) => one.value)")


def is_ready(page):
    expect(page.locator("#servable option")).to_have_count(1)


def bars(page, count):
    """Return the name and the share that each bar says, once there are so many."""
    expect(page.locator("#bars li")).to_have_count(count)
    names = page.locator("#bars li .name").all_text_contents()
    return list(zip(names, page.locator("#bars li .share").all_text_contents(), strict=True))


def drop(page, path):
    """Drop a file on the page as if it were dragged from the desktop."""
    box = page.locator("#drop").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    developer = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        developer.send("Input.dispatchDragEvent", {"type": kind, "data": data, **place})


def test_a_dropped_picture_gets_labels_and_bars(visit, http, parts, picture):
    page = visit(http, viewport={"width": 1100, "height": 760})
    is_ready(page)
    assert values(page, "#servable") == ["parts"]
    assert values(page, "#strategy") == ["TOP1_CLASS", "TOP3_CLASS"]
    assert page.locator("#about").inner_text() == parts.entries[0]["description"]
    drop(page, picture)
    wanted = http.picture(picture).json()["instance"]["predictions"][:3]
    assert bars(page, 3) == [(p["label"], f"{100 * p['score']:.1f} %") for p in wanted]
    drawn = "[...document.querySelectorAll('#bars .fill')].every((bar) => bar.style.width)"
    page.wait_for_function(drawn)
    for bar, prediction in zip(page.locator("#bars li .fill").all(), wanted, strict=True):
        width = bar.evaluate("bar => bar.style.width")
        assert float(width.removesuffix("%")) == pytest.approx(100 * prediction["score"], abs=0.1)
    assert page.locator("#best").inner_text() == wanted[0]["label"]
    assert page.locator("#picture").evaluate("picture => picture.width") == 80

    page.locator("#strategy").select_option("TOP1_CLASS")
    bars(page, 1)
    assert visit.console == []


def test_a_chosen_file_works_like_a_dropped_one(visit, http, picture):
    page = visit(http)
    is_ready(page)
    page.locator("#file").set_input_files(picture)
    assert bars(page, 3)[0][0] == "gear"


def test_what_is_no_picture_is_said_and_the_next_one_works(visit, http, picture, tmp_path):
    page = visit(http)
    is_ready(page)
    broken = tmp_path / "broken.png"
    broken.write_text("no picture at all")
    drop(page, broken)
    reason = http.picture(broken).json()["err_msg"]
    expect(page.locator("#error")).to_have_text(reason)
    expect(page.locator("#error")).to_be_visible()
    drop(page, picture)
    bars(page, 3)
    expect(page.locator("#error")).to_be_hidden()


def test_names_and_labels_are_shown_as_text(visit, hostile, picture):
    page = visit(hostile)
    expect(page.locator("#about")).to_have_text(HOSTILE)
    drop(page, picture)
    bars(page, 1)
    assert page.locator("#best").inner_text() == HOSTILE
    assert page.title() == "TinyMS serving"
    expect(page.locator("#outcome img, #outcome script")).to_have_count(0)
    assert visit.console == []


def test_the_page_asks_for_the_token(visit, served, parts, picture):
    page = visit(served(parts, token=TOKEN))
    expect(page.locator("#access")).to_be_visible()
    expect(page.locator("#error")).to_be_visible()
    page.locator("#token").fill(TOKEN)
    page.locator("#access button").click()
    is_ready(page)
    expect(page.locator("#access")).to_be_hidden()
    drop(page, picture)
    bars(page, 3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(visit, http, picture, scheme):
    phone = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2}
    page = visit(http, color_scheme=scheme, has_touch=True, is_mobile=True, **phone)
    is_ready(page)
    page.locator("#file").set_input_files(picture)
    bars(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    ground, ink = page.evaluate(
        "['backgroundColor', 'color'].map((property) => "
        "getComputedStyle(document.body)[property].match(/\\d+/g).slice(0, 3).map(Number))"
    )
    assert (sum(ground) < sum(ink)) is (scheme == "dark")
    assert abs(sum(ground) - sum(ink)) > 450
