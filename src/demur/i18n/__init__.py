"""Words for people in every supported language: why an item is not used, and what pages and letters say.

For: faces that show decisions. In: a code or key, a language tag. Out: one sentence. May touch: its own
tables. May not: know items or people, format anything personal.
Read first: sentences.py, phrases.py; tables/en.toml, phrases/en.
"""

from demur.i18n.phrases import phrase, phrase_languages, phrases
from demur.i18n.sentences import LAST, fallbacks, languages, sentence

__all__ = ["LAST", "fallbacks", "languages", "phrase", "phrase_languages", "phrases", "sentence"]
