import zoo

project = "zoo"
author = "the zoo developers"
copyright = "2026, the zoo developers"
version = release = zoo.__version__

extensions = ["myst_parser", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "alabaster"
exclude_patterns = ["_build"]
