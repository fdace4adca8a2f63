import pytest
from chromium import CHROMIUM, DRIVER, open_browser
from servables import wait_until

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromium-driver are not installed"
)

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
TOKEN = "a-token-of-some-length"  # noqa: S105 - made up for the tests


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def text(browser, selector):
    return browser.run("return document.querySelector(arguments[0]).innerText", selector)


def options(browser, selector):
    return browser.run(
        "return [...document.querySelectorAll(arguments[0] + ' option')].map((o) => o.value)",
        selector,
    )


def bars(browser):
    return browser.run(
        "return [...document.querySelectorAll('#bars li')].map((bar) =>"
        " [bar.querySelector('.name').textContent, bar.querySelector('.share').textContent,"
        "  bar.querySelector('.fill').style.width])"
    )


def test_a_dropped_picture_gets_labels_and_bars(browser, http, picture):
    browser.resize(1100, 760)
    browser.open(http.url + "/")
    wait_until(lambda: options(browser, "#servable") == ["parts"])
    assert options(browser, "#strategy") == ["TOP1_CLASS", "TOP3_CLASS"]
    assert text(browser, "#about") == "The servable parts"
    browser.drop("#drop", picture)
    wait_until(lambda: len(bars(browser)) == 3)
    wanted = http.picture(picture).json()["instance"]["predictions"][:3]
    assert [name for name, _, _ in bars(browser)] == [p["label"] for p in wanted]
    assert [share for _, share, _ in bars(browser)] == [f"{100 * p['score']:.1f} %" for p in wanted]
    wait_until(lambda: all(width for _, _, width in bars(browser)))
    assert text(browser, "#best") == wanted[0]["label"]
    assert browser.run("return document.querySelector('#picture').width") == 80

    browser.choose("#strategy", "TOP1_CLASS")
    wait_until(lambda: len(bars(browser)) == 1)
    assert browser.log() == []


def test_a_chosen_file_works_like_a_dropped_one(browser, http, picture):
    browser.open(http.url + "/")
    wait_until(lambda: options(browser, "#servable"))
    browser.type("#file", picture)
    wait_until(lambda: bars(browser))


def test_what_is_no_picture_is_said_and_the_next_one_works(browser, http, picture, tmp_path):
    browser.open(http.url + "/")
    wait_until(lambda: options(browser, "#servable"))
    broken = tmp_path / "broken.png"
    broken.write_text("no picture at all")
    browser.drop("#drop", broken)
    wait_until(lambda: "no picture" in text(browser, "#error"))
    browser.drop("#drop", picture)
    wait_until(lambda: bars(browser))
    assert browser.run("return document.querySelector('#error').hidden")


def test_names_and_labels_are_shown_as_text(browser, served, own_servables, picture):
    own_servables.add("hostile", 0, (HOSTILE, "</li><script>document.title='taken'</script>"))
    own_servables.entries[0]["description"] = HOSTILE
    own_servables.write()
    http = served(own_servables)
    browser.open(http.url + "/")
    wait_until(lambda: text(browser, "#about") == HOSTILE)
    browser.drop("#drop", picture)
    wait_until(lambda: bars(browser))
    assert text(browser, "#best") == HOSTILE
    assert browser.run("return document.title") == "TinyMS serving"
    assert (
        browser.run("return document.querySelectorAll('#outcome img, #outcome script').length") == 0
    )


def test_the_page_asks_for_the_token(browser, served, parts, picture):
    http = served(parts, token=TOKEN)
    browser.open(http.url + "/")
    wait_until(lambda: "token" in text(browser, "#error"))
    browser.type("#token", TOKEN)
    browser.click("#access button")
    wait_until(lambda: options(browser, "#servable") == ["parts"])
    assert browser.run("return document.querySelector('#access').hidden")
    browser.drop("#drop", picture)
    wait_until(lambda: bars(browser))


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_in_light_and_dark(browser, http, picture, dark):
    browser.resize(360, 740, dark=dark, touch=True)
    browser.open(http.url + "/")
    wait_until(lambda: options(browser, "#servable"))
    browser.type("#file", picture)
    wait_until(lambda: bars(browser))
    assert browser.run("return document.documentElement.scrollWidth") == 360
    ground, ink = browser.run(
        "const of = (e, p) => getComputedStyle(e)[p].match(/\\d+/g).slice(0, 3).map(Number);"
        "return [of(document.body, 'backgroundColor'), of(document.body, 'color')]"
    )
    assert (sum(ground) < sum(ink)) is dark
    assert abs(sum(ground) - sum(ink)) > 450
