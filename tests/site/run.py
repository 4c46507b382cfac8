#!/usr/bin/env python3
"""run.py ROOT FOLDER: builds the site in FOLDER, and reads it as people do: in Chromium, on a telephone and on a desk, in
the light and in the dark. Leaves screenshots in FOLDER/screenshots."""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlparse

try:
    from selenium import webdriver
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select, WebDriverWait
except ImportError:
    # Debian's selenium is for Debian's Python, and $PATH may have another one first.
    if os.path.exists("/usr/bin/python3") and not os.environ.get("KAIO_SITE"):
        os.environ["KAIO_SITE"] = "again"
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    webdriver = None

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "support"))
import report

root, folder = Path(sys.argv[1]), Path(sys.argv[2])
html, screenshots = folder / "html", folder / "screenshots"
TELEPHONE, DESK = (390, 844), (1280, 900)


@functools.cache
def built():
    """Builds the site, once. Returns what went wrong, or None."""
    for name, package in (("doxygen", "doxygen"), ("sphinx-build", "python3-sphinx")):
        if not shutil.which(name):
            raise report.Skip(f"{package} is not installed")
    command = [sys.executable, root / "docs/site/build.py", root, folder, "--strict"]
    done = subprocess.run(command, capture_output=True, text=True)
    if re.search(r"Could not import extension myst_parser|no theme named 'furo'", done.stderr):
        raise report.Skip("python3-myst-parser or furo is not installed")
    return done.stdout + done.stderr if done.returncode != 0 else None


def pages():
    """The paths of all pages below the site's folder, but for those that show a source."""
    if built():
        raise RuntimeError("the site does not build")
    return [str(page.relative_to(html)) for page in sorted(html.rglob("*.html"))
            if not (folder / "pages" / page.relative_to(html).with_suffix(".md")).exists() or not is_source(page)]


def is_source(page):
    return (folder / "pages" / page.relative_to(html).with_suffix(".md")).read_text(encoding="utf-8").startswith("---\norphan")


class Anchors(HTMLParser):
    """What a page links to, and the places in it that can be linked to."""

    def __init__(self, page):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.places.add(given.get("id"))
        self.links.update(given[name] for name in ("href", "src") if given.get(name))


def documented(header):
    """What Doxygen says to this text of a header."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "include/kaio/io")
        folder.mkdir(parents=True)
        (folder / "file.hpp").write_text(header, encoding="utf-8")
        said = (root / "docs/site/Doxyfile").read_text(encoding="utf-8")
        said += f'\nFILTER_PATTERNS = "*.hpp={sys.executable} docs/site/contracts.py"\n'
        said += f"INPUT = {place}/include\nOUTPUT_DIRECTORY = {place}\nWARN_AS_ERROR = FAIL_ON_WARNINGS\n"
        done = subprocess.run(["doxygen", "-"], input=said, capture_output=True, text=True, cwd=root)
        return done.returncode == 0, done.stderr


def undocumented():
    """A public name without a contract is an error that names it; one that shares a contract is none."""
    built()
    header = (root / "include/kaio/io/file.hpp").read_text(encoding="utf-8")
    fine, said = documented(header)
    if not fine:
        return said
    for name, changed in {
        "fd() const": re.sub(r"    // The descriptor, or -1.*\n", "", header),
        "forgotten": header.replace("\nprivate:", "\n    void forgotten();\nprivate:", 1),
        "direct_support": re.sub(r"// What is known of direct I/O.*\n", "", header),
        "free_one": header.replace("// What is known of", "inline int free_one();\n\n// What is known of", 1),
    }.items():
        fine, said = documented(changed)
        if changed == header or fine or name not in said or "not documented" not in said:
            return f"{name} has no contract, and Doxygen said: {said}"
    fine, said = documented(header.replace("\nprivate:", "\nprivate:\n    void forgotten();\n", 1))
    return None if fine else said


def referenced():
    """Each name of kaio that documents and examples use has a place in the reference."""
    if why := built():
        return why
    text = "".join(path.read_text(encoding="utf-8") for path in (folder / "pages/include").rglob("*.md"))
    text = text.replace("\\", "")
    known = set(re.findall(r"\w+", " ".join(re.findall(r"^#+ (.*)$", text, re.M))))
    used = set()
    for path in [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("docs/examples/**/*.cpp")]:
        used |= set(re.findall(r"\bkaio::(?!detail|inline|v\d)(\w+)", path.read_text(encoding="utf-8")))
    unknown = sorted(used - known - {"sim", "kaio"})
    return f"not in the reference: {unknown}" if unknown or len(used) < 30 else None


def words(text):
    return " ".join(re.findall(r"\w+", text))


def said():
    """Each contract that Doxygen has read stands on the page of its header."""
    if why := built():
        return why
    shown, count = {}, 0
    for page in (folder / "pages/include").rglob("*.hpp.md"):
        text = re.sub(r"\]\([^)]*\)|\\", "", page.read_text(encoding="utf-8"))
        shown[str(page.relative_to(folder / "pages/include"))[:-3]] = words(text)
    for path in (folder / "xml").glob("*_1_1*.xml"):
        for each in [compound := ElementTree.parse(path).getroot()[0], *compound.findall("sectiondef/memberdef")]:
            header = each.find("location").get("file")
            if "private" in (compound.get("prot"), each.get("prot")):
                continue
            for part in (each.find("briefdescription"), each.find("detaileddescription")):
                text = words("".join(part.itertext()))
                if part.find(".//programlisting") is None:  # whose spaces are elements
                    count += text != ""
                    if text not in shown.get(header, ""):
                        return f"{path.stem}: {header} lacks: {text}"
    return None if count > 500 else f"only {count} contracts were found"


def links():
    """Every link inside of the site leads to a page that is there, and to a place in it. Nothing is loaded from outside."""
    if why := built():
        return why
    read = {page: Anchors(page) for page in html.rglob("*.html")}
    wrong = []
    for page, anchors in read.items():
        for link in anchors.links:
            where = urlparse(link)
            if where.scheme or where.netloc:
                continue
            target = (page.parent / unquote(where.path)).resolve() if where.path else page
            if not target.exists() or (where.fragment and target in read and unquote(where.fragment) not in read[target].places):
                wrong.append(f"{page.relative_to(html)} links to {link}")
    outside = [str(path) for path in html.rglob("*") if path.suffix in (".html", ".css")
               and re.search(r"(src=|<link[^>]*href=|url\(|@import )[\"']?(https?:)?//", path.read_text(encoding="utf-8"))]
    return "\n".join(wrong[:20] + outside[:5]) or (None if len(read) > 100 else f"only {len(read)} pages")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Browser:
    def __init__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                         f"--user-data-dir={self.profile.name}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.chrome.service.Service(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(60)

    def end(self):
        self.driver.quit()
        self.server.shutdown()
        self.profile.cleanup()

    def size(self, size):
        width, height = size
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == TELEPHONE})

    def colours(self, scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, page):
        self.driver.get(self.base + page)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def errors(self):
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] != "INFO"]

    def picture(self, name):
        screenshots.mkdir(exist_ok=True)
        self.driver.save_screenshot(str(screenshots / f"{name}.png"))

    def wait(self, condition):
        return WebDriverWait(self.driver, 60, poll_frequency=0.05).until(lambda _: condition())


@functools.cache
def browser():
    if built():
        raise RuntimeError("the site does not build")
    for name, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
        if not shutil.which(name):
            raise report.Skip(f"{package} is not installed")
    if not webdriver:
        raise report.Skip("python3-selenium is not installed")
    return Browser()


# Boxes that are wider than what they are in, and do not scroll. What scrolls may hold what is wider.
TOO_WIDE = """
const wide = [...document.querySelectorAll("pre, table, img, h1, h2, h3, p, li, .kaio-ring *")].filter((each) => {
    const box = each.getBoundingClientRect();
    const holders = (inner) => (inner ? [inner, ...holders(inner.parentElement)] : []);
    const scrolls = holders(each).some((holder) => ["auto", "scroll"].includes(getComputedStyle(holder).overflowX));
    return box.width > 0 && box.right > innerWidth + 1 && !scrolls && !each.closest(".sidebar-drawer, .toc-drawer");
});
const page = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
return page.concat(wide.slice(0, 3).map((each) => each.tagName + ": " + each.textContent.slice(0, 60)));
"""


def every_page():
    """No page is wider than a telephone or a desk has room for, and none has an error in the console."""
    reader, wrong = browser(), []
    for page in pages():
        reader.size(TELEPHONE)
        reader.open(page)
        for size in (TELEPHONE, DESK):
            reader.size(size)
            wrong += [f"{page} at {size[0]} px: {what}" for what in reader.run(TOO_WIDE)]
        wrong += [f"{page}: {error}" for error in reader.errors()]
    return "\n".join(wrong[:20]) or None


def pictures():
    """Screenshots, for people to look at."""
    reader = browser()
    wanted = ["index", "README", "docs/performance", "docs/guide/ring", "include/kaio/loop/loop.hpp", "docs/examples/write.cpp"]
    wanted += [page.removesuffix(".html") for page in pages() if page.startswith("docs/guide/0")][:3]
    for page in wanted:
        for scheme in ("light", "dark"):
            reader.colours(scheme)
            reader.size(TELEPHONE if scheme == "dark" else DESK)
            reader.open(page + ".html")
            reader.picture(f"{page.replace('/', '-')}-{scheme}")
    return None if len(list(screenshots.glob("*.png"))) >= 2 * len(wanted) else "some are missing"


def colours():
    """The page is dark where the system is, and the button changes that and remembers it."""
    reader = browser()
    reader.size(DESK)
    background = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    seen = []
    for scheme in ("light", "dark"):
        reader.colours(scheme)
        reader.open("index.html")
        seen.append(reader.run(background))
    reader.driver.find_element(By.CSS_SELECTOR, ".theme-toggle-content button").click()  # from the system's to light
    seen.append(reader.run(background))
    reader.open("README.html")
    seen.append(reader.run(background))
    reader.run("localStorage.removeItem('theme')")
    light, dark, chosen, kept = seen
    return None if light > 700 and dark < 150 and chosen == kept == light else f"brightness: {seen}"


def found(question, base=None):
    """The addresses that the search finds, the best first."""
    reader = browser()
    reader.driver.get(f"{base or reader.base}search.html?q={quote(question)}")
    done = "document.querySelector('#search-results .search-summary')?.textContent.match(/finished|did not match/)"
    reader.wait(lambda: reader.run(f"return {done}"))
    return reader.run("return [...document.querySelectorAll('#search-results li a')].map((each) => each.getAttribute('href'))")


def search():
    """The search finds a page by the words of a question, and one name in the reference."""
    for question, wanted in {
        "What happens when the power is cut?": "docs/simulation",
        "does native AIO block in io_submit for buffered reads": "docs/guide/04-when-it-is-not-asynchronous",
        "aligned_buffer": "include/kaio/io/aligned_buffer.hpp",
        "try_truncate": "include/kaio/io/file.hpp",
        "why must a function be inlined": "docs/decisions/inlining",
    }.items():
        at = [i for i, link in enumerate(found(question)) if wanted in link]
        if not at or at[0] > 9:
            return f"{question}: {wanted} is at {at[:1]} in {found(question)[:10]}"
    browser().picture("search")
    return found("xyzzyplugh") and "it finds what is nowhere" or None


def search_in_chinese():
    """Words of Chinese are found in the middle of sentences."""
    reader = browser()
    found("AIO")
    pairs = reader.run("return splitQuery('io_submit为什么阻塞')")
    if pairs != ["io_submit", "为什", "什么", "么阻", "阻塞"]:
        return f"it looks for {pairs}"
    chinese = [page for page in (folder / "pages").rglob("*.md") if re.search("[\u4e00-\u9fff]{8}", page.read_text("utf-8"))
               and "nosearch" not in page.read_text("utf-8")]
    if not chinese:
        raise report.Skip("there is no page in Chinese")
    page = chinese[0]
    words = re.findall("[\u4e00-\u9fff]{8}", page.read_text("utf-8"))[0][2:6]
    links = found(words)
    return None if any(page.stem in link for link in links) else f"{words}: {links[:10]} and not {page.stem}"


def questions(guide):
    """Each question of a guide's index finds its page, in the words in which people ask it."""
    index = (root / guide / "README.md").read_text("utf-8")
    asked = re.findall(r"^- \[([^\]]+)\]\((\d\d-[\w-]+)\.md#", index, re.M)
    missed = []
    for question, page in asked:
        links = found(" ".join(question.split()))
        at = next((i for i, link in enumerate(links) if f"{guide}/{page}" in link), None)
        if at is None or at >= 5:
            missed.append(f"{' '.join(question.split())}: {page} is at {at} in {links[:5]}")
    return "\n".join(missed) or (None if len(asked) >= 40 else f"only {len(asked)} questions were found in the index")


def without_a_server():
    """The files can be read where they lie, and searched."""
    links = found("power is cut", html.as_uri() + "/")
    errors = browser().errors()
    return None if any("docs/simulation" in link for link in links) and not errors else f"{links[:5]} {errors}"


# Anything may happen in any order. With the barrier, each request is delivered once, in the order of completion.
MODEL = """
let seed = 1, stale = 0;
const random = (n) => (seed = (seed * 48271) % 2147483647) % n;
for (let run = 0; run < 50; run++) {
    const ring = make_ring(3 + random(8)), completed = [];
    ring.barrier = run % 2 === 0;
    for (let step = 0; step < 400; step++) {
        const act = random(3);
        if (act === 0 && !ring.asleep) ring.submit(1 + random(4));
        if (act === 1 && ring.in_flight.length) {
            const request = ring.in_flight[random(ring.in_flight.length)];
            completed.push(request);
            ring.complete(request);
        }
        const way = ["ring", "getevents", "sleep", "eventfd"][random(4)];
        if (act === 2 && !ring.asleep) stale += ring.take(way, 1 + random(3)).what === "stale";
        if (ring.room() < 0 || ring.waiting() >= ring.slots.length) return "more events than slots";
        if (ring.barrier && ring.delivered.some((request, i) => request !== completed[i]))
            return "wrong order: " + ring.delivered;
        if (ring.delivered.length + ring.waiting() !== completed.length) return "an event too many or too few";
    }
}
return stale > 0 ? null : "nothing was ever stale";
"""


def model():
    """The ring of the page behaves as a ring."""
    browser().open("docs/guide/ring.html")
    return browser().run(MODEL)


def ring():
    """The page of the ring shows what the buttons do."""
    reader = browser()
    reader.size(TELEPHONE)
    reader.colours("light")
    reader.open("docs/guide/ring.html")
    wrong = []

    def element(name):
        return reader.driver.find_element(By.CSS_SELECTOR, f".kaio-ring [data-do={name}]")

    def press(name):
        element(name).click()

    def complete(request):
        reader.driver.find_element(By.CSS_SELECTOR, f".kaio-ring [data-complete='{request}']").click()

    def expect(selector, wanted):
        text = reader.driver.find_element(By.CSS_SELECTOR, f".kaio-ring {selector}").text
        if not re.search(wanted, text):
            wrong.append(f"{selector} says “{text}” and not “{wanted}”")

    # Four in one call, completed in another order, taken without a call.
    press("submit-4")
    for request in (4, 2, 1):
        complete(request)
    expect("li:nth-child(1) .head", "head")
    expect("li:nth-child(4) .tail", "tail")
    expect("li:nth-child(1).ready .event", "4")
    press("take-one")
    press("take-all")
    expect(".calls", r"io_submit 1, io_getevents 0, epoll_wait 0, read 0; 2 looks")
    expect(".delivered", r": 4, 2, 1$")
    expect("li:nth-child(4) .head", "head")

    # It is full until events are taken.
    press("submit-4")
    press("submit-4")
    expect(".log li", r"io_submit\(4\) returns 2")
    press("submit-1")
    expect(".log li.full", "EAGAIN")
    for request in (3, 5, 6, 7, 8, 9, 10):
        complete(request)
    press("submit-1")
    expect(".log li", "EAGAIN")
    reader.picture("ring-full")
    press("take-all")
    press("submit-1")
    expect(".log li", r"io_submit\(1\) returns 1")

    # A thread that sleeps does nothing until it is woken.
    Select(element("way")).select_by_value("sleep")
    press("take-all")
    expect(".thread.asleep", "sleeps")
    if element("take-all").is_enabled():
        wrong.append("a thread that sleeps can be told to take")
    complete(11)
    expect(".calls", r"io_getevents 1,")
    expect(".delivered", r", 11$")

    # The eventfd: two calls, and a count that is ahead of the ring.
    Select(element("way")).select_by_value("eventfd")
    press("take-all")
    expect(".log li", "The eventfd said 11")
    expect(".calls", r"epoll_wait 1, read 1;")

    # Without the barrier an event is lost, and an old one comes again.
    Select(element("way")).select_by_value("ring")
    press("barrier")
    press("take-one")
    press("submit-1")
    complete(12)
    press("take-one")
    expect(".log li.stale", r"old event of request 3 again. Request 12 is lost")
    reader.picture("ring-stale")

    # By the keyboard alone.
    press("again")
    element("submit-1").send_keys(Keys.TAB, Keys.SHIFT + Keys.TAB + Keys.NULL, Keys.ENTER)
    reader.driver.switch_to.active_element.send_keys(Keys.SPACE)
    expect(".calls", "io_submit 2,")
    outline = reader.run("return getComputedStyle(document.activeElement).outlineStyle")
    if outline == "none":
        wrong.append("the button that has the keyboard does not show it")
    return "\n".join(wrong + reader.errors()) or None


def building():
    return built()


try:
    report.run([
        ("the site builds without a warning, and no public name is undocumented", building),
        ("a public name without a contract is an error", undocumented),
        ("the reference has every name that the documents use", referenced),
        ("the reference has every contract", said),
        ("every link leads somewhere", links),
        ("no page overflows, and no page has an error in the console", every_page),
        ("the site is light and dark", colours),
        ("the search finds pages by questions, and names", search),
        ("the search finds Chinese words", search_in_chinese),
        ("each question of the guide finds its page", lambda: questions("docs/guide")),
        ("each question of the Chinese guide finds its page", lambda: questions("docs/guide/zh")),
        ("the site can be read without a server", without_a_server),
        ("the ring of the interactive page is a ring", model),
        ("the interactive page shows what happens", ring),
        ("screenshots", pictures),
    ])
finally:
    if browser.cache_info().currsize:
        browser().end()
