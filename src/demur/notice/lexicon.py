"""The words for AI and for training in every language: a subject that has neither hides what the mail is about.

Abbreviations are told by case and stand alone; words by their stem. Does not understand a sentence.
"""

from __future__ import annotations

import re

AI = {
    "bg": "ИИ изкуствен",
    "cs": "AI UI uměl",
    "cy": "AI DA deallusrwydd",
    "da": "AI KI kunstig",
    "de": "KI AI künstlich",
    "el": "ΤΝ AI τεχνητ",
    "en": "AI artificial",
    "es": "IA artificial",
    "et": "AI TI tehisintellekt tehisaru",
    "fi": "AI tekoäly",
    "fr": "IA artificiel",
    "ga": "AI IS intleacht hintleacht",
    "hr": "AI UI umjetn",
    "hu": "MI AI mesterséges",
    "is": "gervigreind AI",
    "it": "IA AI artificial",
    "lt": "DI AI dirbtin",
    "lv": "MI AI mākslīg",
    "mt": "IA AI artifiċjali",
    "nb": "KI AI kunstig",
    "nl": "AI kunstmatige",
    "nn": "KI AI kunstig",
    "pl": "AI SI sztuczn",
    "pt": "IA artificial",
    "ro": "IA AI artificial",
    "sk": "AI UI umel",
    "sl": "UI AI umetn",
    "sv": "AI artificiell",
}
TRAINING = {
    "bg": "обуч трен",
    "cs": "trén učen výcvik vycvič",
    "cy": "hyfforddi hyfforddiant",
    "da": "træn oplær",
    "de": "train lern",
    "el": "εκπαιδε εκπαίδευ",
    "en": "train",
    "es": "entren",
    "et": "treeni koolita õpeta õppi",
    "fi": "koulut opett",
    "fr": "entraîn apprent",
    "ga": "oili traen",
    "hr": "treni obuč obuk uče",
    "hu": "tanít képz",
    "is": "þjálf",
    "it": "addestra allena",
    "lt": "moky treniru",
    "lv": "apmāc apmāci trenē mācī",
    "mt": "taħriġ ħarreġ tħarreġ",
    "nb": "tren opplær",
    "nl": "train",
    "nn": "tren opplær",
    "pl": "tren szkol ucz",
    "pt": "trein",
    "ro": "antren instrui",
    "sk": "trén učen výcvik",
    "sl": "uče uri treni",
    "sv": "trän",
}


def names_ai_training(text: str, language: str) -> bool:
    """Say whether a text names both AI and training in its language; ``False`` for a language without words here.

    >>> names_ai_training("KI-Training mit deinen Beiträgen", "de")
    True
    >>> names_ai_training("Neuigkeiten zu deinen Beiträgen", "de")
    False
    """
    base = language.partition("-")[0]
    return _has(text, AI.get(base, "")) and _has(text, TRAINING.get(base, ""))


def _has(text: str, words: str) -> bool:
    folded = text.casefold()
    for word in words.split():
        if word.isupper():
            if re.search(rf"(?<!\w){word}(?!\w)", text):
                return True
        elif word.casefold() in folded:
            return True
    return False
