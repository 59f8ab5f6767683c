# Copyright (c) 2026 selfhosted.media contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings for the documentation site; docs/build.sh builds it."""

from __future__ import annotations

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

project = "selfhosted.media"
author = "selfhosted.media contributors"
copyright = "2026 selfhosted.media contributors"
html_title = "selfhosted.media"

extensions = ["sphinx_antsibull_ext"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
antsibull_ext_color_scheme = "none"
pygments_style = "ansible"
pygments_dark_style = "github-dark"
highlight_language = "yaml+jinja"
html_show_sphinx = False
html_use_index = False
html_copy_source = False
# Names of variables and options are typed as they are meant.
smartquotes = False
nitpicky = True

#: Where ansible-core's documentation has the labels that the reference mentions. Intersphinx would fetch a list of all of them, and
#: the site is built without a network.
CORE = "https://docs.ansible.com/ansible/latest/"
PAGES = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}
BUILTIN = "ansible_collections.ansible.builtin."


def find_in_core(
    _app: Sphinx, _env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """A link to a page of ansible-core; what is none stays an error."""
    label = str(node["reftarget"])
    page = PAGES.get(label)
    if label.startswith(BUILTIN):
        page = f"collections/ansible/builtin/{label.removeprefix(BUILTIN)}.html"
    return nodes.reference("", "", content, internal=False, refuri=CORE + page) if page else None


def keep_contents(_app: Sphinx, tree: nodes.document) -> None:
    """The theme takes a list of contents in a page for a mistake, unless it has this class; a guide is read from it, and not all screens
    have room for the theme's own list at the side."""
    for topic in tree.findall(lambda node: isinstance(node, nodes.topic) and "contents" in node["classes"]):
        topic["classes"].append("this-will-duplicate-information-and-it-is-still-useful-here")


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", find_in_core)
    app.connect("doctree-read", keep_contents)
