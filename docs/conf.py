"""How the pages are built: `make docs`."""

import os
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import zoo  # noqa: E402

project = "zoo"
author = "the zoo developers"
copyright = "2026, the zoo developers"
version = release = zoo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "estimator_pages",  # beside this file: one page for each card
]
exclude_patterns = ["_build", "auto_examples/*.ipynb", "estimators/*.txt"]
suppress_warnings = ["config.cache"]  # the sorting classes of the gallery cannot be pickled

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autosummary_generate = False
numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's parameters say more than the annotations
default_role = "code"

html_math_renderer = "zoo"
html_theme = "pydata_sphinx_theme"
html_title = "zoo"
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
}
html_context = {"default_mode": "auto"}
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["zoo.css"]

# Every example is run anew when it has changed. ZOO_EXAMPLE_SIZE=small makes them short.
sphinx_gallery_conf = {
    "examples_dirs": [str(HERE.parent / "examples")],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"quickstart\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "backreferences_dir": "auto_examples/used_by",
    "doc_module": ("zoo",),
    "show_signature": False,
    "abort_on_example_error": True,
    "min_reported_time": 1e9,
    "nested_sections": False,
}
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Notebooks of the gallery draw without a screen; matplotlib says so at every plt.show().
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
