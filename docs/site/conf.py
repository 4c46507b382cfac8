# Sphinx: the site. build.py gathers its pages and runs it.

import re
from pathlib import Path

from sphinx.search.en import SearchEnglish

project = "kaio"
extensions = ["myst_parser"]
root_doc = "index"
myst_heading_anchors = 4
html_theme = "furo"
html_title = "kaio"
html_favicon = "static/favicon.svg"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["search.js"]
html_copy_source = False
html_show_copyright = False
html_permalinks_icon = "#"
suppress_warnings = ["misc.highlighting_failure"]  # "…" is no C++


class Words(SearchEnglish):
    """English words, and pairs of Chinese characters, for no spaces are between Chinese words. search.js weighs them."""

    stopwords = SearchEnglish.stopwords | set("can do does how i is my what when which who why you".split())
    js_splitter_code = """
function splitQuery(query) {
    return (query.match(/[\\u3400-\\u9fff]+|(?:(?![\\u3400-\\u9fff])[\\p{L}\\p{N}_])+/gu) ?? []).flatMap((run) =>
        /[\\u3400-\\u9fff]/.test(run) && run.length > 1 ? [...run].slice(1).map((c, i) => run[i] + c) : [run]);
}"""

    def split(self, text):
        for run in re.findall(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+", text):
            chinese = run[0] >= "\u3400" and len(run) > 1
            yield from (run[i : i + 2] for i in range(len(run) - 1)) if chinese else [run]


def speak(app, page, template, context, doctree):
    if "/zh/" in page or page.endswith("zh-CN"):
        context["language"] = "zh-CN"


def repair(app, exception):
    """Debian 12 packs furo with a style sheet's address on a web server, and without the colours of a dark system."""
    path = Path(app.outdir, "_static/styles/furo.css")
    css = path.read_text(encoding="utf-8")
    css = re.sub(r"@import url\((/javascript/.*?)\);", lambda found: Path("/usr/share" + found[1]).read_text("utf-8"), css)
    if "prefers-color-scheme" not in css:
        dark = re.search(r'body\[data-theme="dark"\] (\{.*?\})', css, re.S)[1]
        css += f'@media (prefers-color-scheme: dark) {{ body:not([data-theme="light"]) {dark} }}\n'
    path.write_text(css, encoding="utf-8")


def setup(app):
    app.add_search_language(Words)
    app.connect("html-page-context", speak)
    app.connect("build-finished", repair)
