"""The page's files: both languages are complete, and no script parses markup."""

from __future__ import annotations

import json
import re
from string import Formatter

from tests.support.docs import ROOT

STATIC = ROOT / "lea_fleet" / "page" / "static"

FORBIDDEN = r"https?://|innerHTML|outerHTML|insertAdjacent|document\.write|eval\("


CATALOGUES = ("en", "fr", "en_", "fr_")


def sources():
    paths = [path for path in STATIC.glob("*.js") if path.stem[:3] not in CATALOGUES]
    return "\n".join(path.read_text("utf-8") for path in paths)


def catalogue(language):
    read = {}
    for path in (STATIC / f"{language}.js", *sorted(STATIC.glob(f"{language}_*.js"))):
        text = path.read_text("utf-8")
        text = text.removeprefix("export default ").rstrip().removesuffix(";")
        assert read.keys().isdisjoint(words := json.loads(text))
        read |= words
    return read


def places(wording):
    """Return the names of the placeholders in a text."""
    forms = wording.values() if isinstance(wording, dict) else [wording]
    return {name for form in forms for _, name, _, _ in Formatter().parse(form) if name}


def test_everything_is_said_in_both_languages():
    english, french = catalogue("en"), catalogue("fr")

    assert list(english) == list(french)
    for key, wording in english.items():
        assert places(wording) == places(french[key]), key
        assert type(wording) is type(french[key]), key


def test_french_punctuation_is_not_parted_from_its_word():
    for key, wording in catalogue("fr").items():
        forms = wording.values() if isinstance(wording, dict) else [wording]
        assert not [form for form in forms if re.search(" [:;?!»]|« ", form)], key


def test_every_text_is_there_and_none_is_left_over():
    """A key is written out in the code or in a list, or put together in the code."""
    code = sources()
    used = set(re.findall(r'\b(?:t|phrase)\(\s*"([\w.]+)"', code))
    named = set(re.findall(r'"([\w.]+)"', code))
    patterns = map(re.escape, re.findall(r"\b(?:t|phrase)\(\s*`([^`]+)`", code))
    made = [re.sub(r"\\\$\\\{.*?\\\}", r"[\\w.]+", each) for each in patterns]

    made += [f"{each}.*" for each in re.findall(r'\btexts\("([\w.]+)"', code)]

    assert used <= set(catalogue("en"))
    for key in catalogue("en"):
        assert key in named or any(re.fullmatch(each, key) for each in made), key


def test_no_file_parses_markup_or_names_another_server():
    for path in STATIC.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(FORBIDDEN, text), path.name
        assert path.suffix != ".js" or len(text.splitlines()) <= 300
