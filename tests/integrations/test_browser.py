"""The atlas as a site, in a browser: Debian's Chromium by ``make chromium``, or one that is there.

``--screenshots DIRECTORY`` has it write what the pages look like.
"""

import shutil
from pathlib import Path

import pytest

from tests.support.atlas_site import IN_A_THREAD, ROWS, atlas_site

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: make chromium")

UNPACKED = Path(__file__).parents[2] / ".cache/chromium/run"
INSTALLED = ("chromium", "google-chrome", "chromium-browser")

PHONE = {"width": 375, "height": 720}


def program():
    """Return where a browser is, if there is one."""
    found = map(shutil.which, (str(UNPACKED), *INSTALLED))
    return next(filter(None, found), None)


@pytest.fixture
def site(tables, tmp_path):
    with atlas_site(tmp_path) as site:
        yield site


@pytest.fixture
def page(site):
    """Have a page in a browser, in which nothing may go wrong."""
    wrong = []
    with (
        playwright.sync_playwright() as driver,
        driver.chromium.launch(executable_path=program()) as browser,
    ):
        page = browser.new_page(base_url=site.url, color_scheme="light")
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield page
    assert wrong == []


@pytest.fixture
def shoot(page, request):
    """Return a function that writes a screenshot of the page, if these are asked for."""
    directory = request.config.getoption("screenshots")

    def shoot(name):
        if directory:
            page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)

    return shoot


@pytest.mark.skipif(program() is None, reason="There is no browser: make chromium")
def test_a_visit(site, page, shoot):
    expect = playwright.expect
    expect.set_options(timeout=20_000)
    heading = page.get_by_role("heading", level=1)
    rows = page.locator("tbody tr")

    page.goto("/")
    expect(page.get_by_text(f"{ROWS} cities, page 1 of {ROWS // 20}")).to_be_visible()
    expect(page.locator("footer")).to_contain_text("0 worker threads")
    shoot("cities")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("page 2 of")).to_be_visible()

    page.get_by_role("searchbox").fill("osaka")
    page.get_by_role("button", name="Search").click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Osaka").click()
    expect(heading).to_have_text("Osaka")
    expect(page.locator("main")).to_contain_text("Japan, Asia")
    expect(page.locator("footer")).to_contain_text("lazy loading, 0 thread hops")
    shoot("city")
    page.get_by_role("link", name="Japan").click()
    expect(heading).to_have_text("Japan")
    expect(page.locator("footer")).to_contain_text("bridge, 0 thread hops")
    shoot("country")

    page.get_by_role("link", name="Live").click()
    expect(rows.nth(2)).to_be_visible()
    expect(rows.last).to_contain_text("1. ")
    shoot("live")
    assert site.has_threads(1)

    page.get_by_role("link", name="JSON").click()
    expect(page.locator("body")).to_contain_text('"continent": {"name": "Europe"}')
    page.go_back()

    page.get_by_role("link", name="Admin").click()
    page.get_by_label("Username").fill("atlas")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Cities", exact=True).click()
    expect(page.locator(".paginator")).to_contain_text(f"{ROWS} cities")
    shoot("admin")
    page.get_by_role("link", name="View site").click()
    expect(page.locator("header")).to_contain_text("atlas")

    page.set_viewport_size(PHONE)
    shoot("phone")
    # Nothing is wider than a phone.
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.emulate_media(color_scheme="dark")
    shoot("phone-dark")

    assert site.has_threads(1)
    assert {request for request, hops in site.end() if hops} == IN_A_THREAD
