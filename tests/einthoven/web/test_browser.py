"""The page in a real browser, with the real server: what a person does with the mouse and the keyboard."""

import base64
import contextlib
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import einthoven

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAIT_MS = 90_000  # the machine may be busy
NOISY = ("V2", 1.0, 3.0)  # lead, from, to in s

pytestmark = pytest.mark.slow

DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (character) => character.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], name));
    for (const kind of ["dragenter", "drop"]) {
        const event = new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true });
        document.getElementById("drop").dispatchEvent(event);
    }
}"""
SPANS = """async () => {
    const { View } = await import("/static/view.js");
    const span = (lead, start, end) => ({ lead, start, end, kind: "restored" });
    const view = new View();
    view.recording = { duration: 100 };
    view.result = { stretches: [span("I", 1, 2), span("II", 5, 50), span("V1", 40, 41)], n_stretches: 4 };
    return ["I", "II", "V1"].map((lead) => view.spansOf(lead).map(({ start, end, kind }) => [start, end, kind]));
}"""
NO_WORK = "#jobs:not(:has(li))"  # a selector, as the page's policy forbids functions that are waited for
DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
WIDTH = "() => document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def address():
    """The address of a server that runs for these tests."""
    pytest.importorskip("uvicorn", reason="needs the server: pip install einthoven[web]")
    command = [sys.executable, "-m", "einthoven.web.serve", "port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"http://\S+", server.stdout.readline())[0]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium, or any other that is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install einthoven[dev]")
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def open_page(browser, address):
    """Opens pages; none of them may log an error, as one that breaks the content security policy does."""
    with contextlib.ExitStack() as opened:
        errors = []

        def open_one(width=1280, height=900, **look):
            page = browser.new_page(viewport={"width": width, "height": height}, **look)
            opened.callback(page.close)
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda line: errors.append(line.text) if "Security Policy" in line.text else None)
            page.goto(address)
            page.wait_for_selector("html[data-ready]")
            return page

        yield open_one
        assert not errors


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Four seconds of the bundled ECG with noise in one lead, as a file."""
    ecg = einthoven.read()
    signal = ecg.signal[:, : round(4 * ecg.sampling_rate)].copy()
    lead, start, stop = NOISY
    part = slice(round(start * ecg.sampling_rate), round(stop * ecg.sampling_rate))
    signal[ecg.leads.index(lead), part] += 0.4 * np.random.default_rng(0).standard_normal(part.stop - part.start)
    path = tmp_path_factory.mktemp("noisy") / "noisy.edf"
    einthoven.write(replace(ecg, signal=signal, name="noisy"), path)
    return path


def drop(page, name, content):
    page.evaluate(DROP, [name, base64.b64encode(content).decode()])


def press(page, key):
    """Presses a key and waits until the screen shows what it did: the page draws with the screen's next frame."""
    page.keyboard.press(key)
    page.evaluate(DRAWN)


def paper_place(page, x, y):
    """A place of the paper, in shares of its width and height."""
    box = page.locator("#paper").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_a_dropped_file_is_shown_judged_repaired_measured_and_taken_home(open_page, noisy, tmp_path):
    page = open_page()
    drop(page, noisy.name, noisy.read_bytes())
    page.wait_for_selector("#ecg:not([hidden])")
    assert page.inner_text("#facts") == "EDF+ · 12 leads · 4 s · 500 Hz"
    assert "leads I, II, III, aVR" in page.get_attribute("#paper", "aria-label")
    page.wait_for_selector("#quality-rows tr >> nth=11")
    assert page.is_disabled("#show-after")

    page.click("[data-job=repair]")
    page.wait_for_selector("#jobs progress")
    page.wait_for_selector("#show-after:enabled")
    assert page.is_checked("#show-after")
    assert NOISY[0] in page.inner_text("#changes-rows")

    page.select_option("#layout", "12x1")
    page.check("#tool-calipers", force=True)
    page.mouse.move(*paper_place(page, 0.3, 0.02))
    page.mouse.down()
    page.mouse.move(*paper_place(page, 0.5, 0.05))
    page.mouse.up()
    page.evaluate(DRAWN)
    told = re.search(r"lead I: (\d+) ms, (\d+)/min, ([+−]\d\.\d\d) mV", page.inner_text("#caliper-values"))
    assert abs(60_000 / int(told[1]) - int(told[2])) < 1
    page.focus("#paper")
    press(page, "Shift+ArrowRight")
    assert f"lead I: {int(told[1]) + 100} ms" in page.inner_text("#caliper-values")

    with page.expect_download() as waiting:
        page.click("#files-result a[download='repaired.edf']")
    waiting.value.save_as(tmp_path / "repaired.edf")
    before, after = einthoven.read(noisy), einthoven.read(tmp_path / "repaired.edf")
    assert after.leads == before.leads and after.signal.shape == before.signal.shape
    rows = {lead: np.abs(x - y).max() for lead, x, y in zip(after.leads, after.signal, before.signal, strict=True)}
    assert rows[NOISY[0]] > 0.2 and rows["V6"] < 0.01


def test_work_is_cancelled_and_the_page_goes_on(open_page):
    page = open_page(color_scheme="dark")
    page.click("#demo")
    page.wait_for_selector("#ecg:not([hidden])")
    page.wait_for_selector(NO_WORK, state="attached")
    page.click("[data-job=denoise]")
    page.click("#jobs button")
    page.wait_for_selector(NO_WORK, state="attached")
    assert page.inner_text("#status") == "Denoising: cancelled"
    assert page.is_disabled("#show-after") and page.is_hidden("#error")
    page.focus("#paper")
    for key, part in (
        ("+", "0 s to"),
        ("End", "to 10 s of 10 s"),
        ("s", "50 mm/s"),
        ("g", "20 mm/mV"),
        ("l", "low-pass"),
    ):
        press(page, key)
        assert part in page.inner_text("#part")


def test_a_broken_file_is_explained_and_a_phone_needs_no_sideways_scrolling(open_page):
    page = open_page(390, 844)
    assert page.evaluate(WIDTH) == 390
    rest = [40, 100, "perhaps restored"]  # after the last of the listed stretches
    assert page.evaluate(SPANS) == [[[1, 2, "restored"], rest], [[5, 40, "restored"], rest], [rest]]
    drop(page, "broken.edf", b"0       " + bytes(300))
    page.wait_for_selector("#error:not([hidden])")
    assert "broken.edf" in page.inner_text("#error") and "\n" not in page.inner_text("#error").strip()
    assert page.is_hidden("#ecg")
    page.click("#demo")
    page.wait_for_selector("#quality-rows tr >> nth=11")
    assert page.is_hidden("#error")
    assert page.evaluate(WIDTH) == 390
    assert page.is_visible("#overview") and page.is_visible("text=Research only.")
    page.focus("#overview")
    press(page, "End")
    assert page.get_attribute("#overview", "aria-valuetext").endswith("10 s of 10 s")
