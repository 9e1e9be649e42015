"""How `make docs` builds these pages: Sphinx with MyST and Furo.

The pages stay plain Markdown that reads well where the code is hosted, so what only Sphinx needs is derived here: the
navigation from the lists in index.md, the picture for a Mermaid block from the SVG file of the same name, and which
links leave these pages.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

HERE = Path(__file__).parent

project = "orderflow"
copyright = "the authors of orderflow, Apache License 2.0"  # noqa: A001  Sphinx wants it under this name
version = re.search(r'__version__ = "(.+)"', (HERE / "../src/orderflow/__init__.py").read_text())[1]
release = version
language = "en"

extensions = ["myst_parser"]
myst_heading_anchors = 3
smartquotes = False  # quotes in prose are often code
highlight_language = "none"

html_theme = "furo"
html_title = f"orderflow {version}"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["orderflow.css"]
pygments_style = "tango"
pygments_dark_style = "github-dark"


def add_navigation(_app: Sphinx, page: str, source: list[str]) -> None:
    """Every list of links below a heading of the start page becomes a hidden table of contents."""
    if page != "index":
        return
    contents = []
    for part in re.split(r"^## ", source[0], flags=re.MULTILINE):
        caption = part.splitlines()[0] if not part.startswith("#") else ""
        pages = re.findall(r"^- .*?\]\(((?!\.\.)[^)#:]+)\.md\)", part, flags=re.MULTILINE)
        if pages:
            contents += ["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```", ""]
    source[0] += "\n" + "\n".join(contents)


def hand_over(app: Sphinx, page: str, source: list[str]) -> None:
    """Documents of the repository that are no pages, such as the changelog, are handed over as files."""
    folder = Path(app.env.doc2path(page)).parent

    def link(found: re.Match[str]) -> str:
        inside = (folder / found[1]).resolve().is_relative_to(HERE)
        return found[0] if inside else f"](path:{found[1]})"

    source[0] = re.sub(r"\]\((\.\.?/[^)#:]+\.md)\)", link, source[0])


def draw(app: Sphinx, document: nodes.document) -> None:
    """A Mermaid block is shown as the SVG file beside its page; no reader's browser runs or fetches anything."""
    for block in list(document.findall(nodes.literal_block)):
        if block.get("language") == "mermaid":
            picture = Path(app.env.doc2path(app.env.docname)).with_suffix(".svg")
            app.env.note_dependency(str(picture))
            block.replace_self(nodes.raw("", f'<div class="diagram">{picture.read_text()}</div>', format="html"))


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
    app.connect("source-read", hand_over)
    app.connect("doctree-read", draw)
