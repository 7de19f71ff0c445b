"""Sentences for people: why an item is not used, in every supported language.

For: faces that show decisions. In: a reason or exclusion code, a language tag. Out: one sentence. May touch: its own
tables. May not: know items or people, format anything personal.
Read first: sentences.py; tables/en.toml.
"""

from demur.i18n.sentences import fallbacks, languages, sentence

__all__ = ["fallbacks", "languages", "sentence"]
