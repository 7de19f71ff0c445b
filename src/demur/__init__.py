"""demur: from what members post in public to corpora and models that a person can leave, exactly, with proof."""

__version__ = "0.1.0"
