# ruff: noqa: RUF001  # letters that look like ours are what these tables are about
"""Names in other letters, written with a to z and 0 to 9: tables, then what Unicode decomposes. Pure.

German umlauts and the Scandinavian letters as their own languages spell them in ASCII; Cyrillic after BGN/PCGN, Greek after
ELOT 743, both letter by letter. Everything else that Unicode calls a letter with marks loses its marks (Czech, Polish,
Hungarian, Turkish, Vietnamese, ...); letters of other scripts are dropped.
"""

import re
import unicodedata
from typing import Final

LATIN: Final = {
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "å": "aa", "æ": "ae", "ø": "oe", "œ": "oe",
    "ð": "d", "þ": "th", "đ": "d", "ħ": "h", "ł": "l", "ŀ": "l", "ı": "i", "ŋ": "ng", "ŧ": "t", "ə": "e", "ĸ": "k",
}  # fmt: skip

CYRILLIC: Final = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "yo", "ж": "zh", "з": "z", "и": "i", "й": "y", "к": "k",
    "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "у": "u", "ф": "f", "х": "kh", "ц": "ts",
    "ч": "ch", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
    "і": "i", "ї": "yi", "є": "ye", "ґ": "g", "ў": "u",
    "ђ": "dj", "ј": "j", "љ": "lj", "њ": "nj", "ћ": "c", "џ": "dz", "ѓ": "g", "ќ": "k", "ѕ": "dz",
}  # fmt: skip

GREEK: Final = {
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l", "μ": "m",
    "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f", "χ": "ch", "ψ": "ps", "ω": "o",
}  # fmt: skip

TABLE: Final = str.maketrans(LATIN | CYRILLIC | GREEK)
_OTHER: Final = re.compile(r"[^a-z0-9]+")
_GREEK_OU: Final = re.compile("ο[υύ]")


def to_ascii(text: str, between: str = "") -> str:
    """Return ``text`` in a-z and 0-9; every run of anything else becomes ``between``.

    Tables come before Unicode's decomposition, so that ``ä`` is ``ae`` and ``й`` is ``y``; and once more after it, for a letter
    of the tables that had a mark (``ά``, ``ǿ``).
    """
    composed = unicodedata.normalize("NFC", text.lower())
    known = _GREEK_OU.sub("ou", composed).translate(TABLE)
    bare = "".join(c for c in unicodedata.normalize("NFKD", known) if not unicodedata.combining(c))
    return _OTHER.sub(between, bare.lower().translate(TABLE)).strip(between or None)
