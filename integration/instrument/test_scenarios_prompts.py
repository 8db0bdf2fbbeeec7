"""What users say: the shipped file is varied and sendable, a file of one's own fails with a clear line."""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest

from load.errors import UsageError
from load.scenarios.prompts import MAX_MESSAGE_CHARS, SHIPPED, Conversation, PromptSource, load_prompts

SCRIPTS = (
    "LATIN",
    "CYRILLIC",
    "GREEK",
    "ARABIC",
    "HEBREW",
    "DEVANAGARI",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "HANGUL",
    "THAI",
)

JOINER = "\u200d"


@pytest.fixture(scope="module")
def shipped() -> tuple[Conversation, ...]:
    return load_prompts()


@pytest.fixture(scope="module")
def messages(shipped: tuple[Conversation, ...]) -> list[str]:
    return [turn for conversation in shipped for turn in conversation.turns]


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def error_of(path: Path) -> str:
    """The one line a user gets for `path`, with the file's name in front taken off."""
    with pytest.raises(UsageError) as raised:
        load_prompts(path)
    return str(raised.value).removeprefix(str(path))


class TestShipped:
    def test_holds_at_least_200_conversations(self, shipped: tuple[Conversation, ...]) -> None:
        assert len(shipped) >= 200

    def test_holds_whole_conversations(self, shipped: tuple[Conversation, ...]) -> None:
        assert sum(len(conversation.turns) >= 3 for conversation in shipped) >= 20

    def test_reaches_from_one_word_to_thousands_of_characters(self, messages: list[str]) -> None:
        lengths = sorted(map(len, messages))

        assert lengths[0] <= 2
        assert sum(length >= 1000 for length in lengths) >= 10
        assert 5000 <= lengths[-1] <= MAX_MESSAGE_CHARS

    @pytest.mark.parametrize("script", SCRIPTS)
    def test_holds_several_messages_in(self, script: str, messages: list[str]) -> None:
        """A script is named by the first word of a letter's Unicode name."""
        found = [
            text
            for text in messages
            if any(unicodedata.name(letter, "").startswith(script) for letter in text)
        ]

        assert len(found) >= 5

    def test_holds_joined_emoji_code_and_long_lines(self, messages: list[str]) -> None:
        assert any(JOINER in text for text in messages)
        assert any("```python" in text for text in messages)
        assert any(max(map(len, text.split("\n"))) >= 2000 for text in messages)

    def test_holds_one_conversation_a_line(self, shipped: tuple[Conversation, ...]) -> None:
        lines = SHIPPED.read_bytes().split(b"\n")

        assert len(lines) == len(shipped) + 1  # the last one is empty


class TestForms:
    @pytest.mark.parametrize(
        ("line", "turns"),
        [
            ({"message": "Hi"}, ("Hi",)),
            ({"prompt": "Hi"}, ("Hi",)),
            ({"message": "Hi", "id": 7}, ("Hi",)),
            ({"messages": ["Hi", "And then?"]}, ("Hi", "And then?")),
            (
                {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]},
                ("Hi",),
            ),
            (
                {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}]},
                ("Hi",),
            ),
            ({"message": "x" * MAX_MESSAGE_CHARS}, ("x" * MAX_MESSAGE_CHARS,)),
            ({"message": "😀" * MAX_MESSAGE_CHARS}, ("😀" * MAX_MESSAGE_CHARS,)),  # characters, not bytes
            ({"message": " \u2028 a"}, (" \u2028 a",)),  # a line separator ends no line of the file
        ],
        ids=str,
    )
    def test_takes(self, tmp_path: Path, line: object, turns: tuple[str, ...]) -> None:
        path = write(tmp_path, json.dumps(line, ensure_ascii=False) + "\n")

        assert load_prompts(path) == (Conversation(turns),)

    def test_takes_a_published_list_and_passes_over_what_nobody_can_send(self, tmp_path: Path) -> None:
        entries = [
            {
                "id": "a",
                "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}],
            },
            {"id": "b", "conversations": []},
            {"id": "c", "conversations": [{"from": "gpt", "value": "As I said."}]},
            {"id": "d", "conversations": [{"from": "human", "value": "x" * (MAX_MESSAGE_CHARS + 1)}]},
            {
                "id": "e",
                "conversations": [{"from": "user", "value": "One"}, {"from": "user", "value": "Two"}],
            },
        ]
        path = write(tmp_path, json.dumps(entries, indent=1))

        assert load_prompts(path) == (Conversation(("Hi",)), Conversation(("One", "Two")))

    def test_takes_blank_lines_crlf_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.jsonl"
        path.write_bytes(b'\xef\xbb\xbf{"message": "Hi"}\r\n\r\n{"message": "Bye"}')

        assert load_prompts(path) == (Conversation(("Hi",)), Conversation(("Bye",)))


GOOD = '{"message": "Hi"}\n'
FORMS = 'write {"message": "…"}, {"messages": ["…"]}, {"prompt": "…"} or {"conversations": […]}'
LINES = 'write one {"message": "…"} a line, or one JSON list'
ROLE = 'lacks "role" and "content"; write {"role": "…", "content": "…"}'
FROM = 'lacks "from" and "value"; write {"from": "…", "value": "…"}'


class TestWrong:
    @pytest.mark.parametrize(
        ("text", "line"),
        [
            (
                GOOD + '{"message": "Hi"\n',
                f", line 2: is not JSON (Expecting ',' delimiter at column 17); {LINES}",
            ),
            (GOOD + "\n" + '"Hi"\n', f", line 3: is a string; {FORMS}"),
            ('{"text": "Hi"}\n', f", line 1: has none of the known keys but text; {FORMS}"),
            ('{"message": 7}\n', ', line 1: "message" is a number; write it as a string'),
            ('{"prompt": null}\n', ', line 1: "prompt" is null; write it as a string'),
            ('{"message": " "}\n', ', line 1: "message" is empty; write something, or remove the line'),
            (
                '{"messages": []}\n',
                ', line 1: "messages" is empty; write at least one, or remove the line',
            ),
            ('{"messages": "Hi"}\n', ', line 1: "messages" is a string; write a list of what the user says'),
            ('{"messages": ["Hi", 7]}\n', ", line 1: message 2 is a number; write it as a string"),
            ('{"messages": [{"role": "user"}]}\n', f', line 1: turn 1 of "messages" {ROLE}'),
            (
                '[\n {"conversations": [{"from": "human", "value": "Hi"}]},\n {"conversations": [7]}\n]',
                f', entry 2: turn 1 of "conversations" {FROM}',
            ),
            ("[\n {}\n {}\n]", f", line 3: is not JSON (Expecting ',' delimiter at column 2); {LINES}"),
            (
                '{"message": "' + "x" * 16_001 + '"}\n',
                ', line 1: "message" has 16,001 characters, at most 16,000 can be sent; shorten it',
            ),
            (
                '{"message": "a\\u0000b"}\n',
                ', line 1: "message" holds U+0000, which cannot be sent; remove it',
            ),
            (
                '{"message": "\\ud83d"}\n',
                ', line 1: "message" holds half of a surrogate pair, which is no text; write both halves',
            ),
            ("", ': holds no message; write one {"message": "…"} a line'),
            ("[]", ': holds no message; write one {"message": "…"} a line'),
        ],
    )
    def test_names_the_place_what_is_wrong_and_what_to_do(self, tmp_path: Path, text: str, line: str) -> None:
        assert error_of(write(tmp_path, text)) == line

    def test_names_the_line_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.jsonl"
        path.write_bytes(GOOD.encode() + b'{"message": "caf\xe9"}\n')

        assert error_of(path) == ", line 2: is not UTF-8; save the file as UTF-8"

    def test_names_a_folder(self, tmp_path: Path) -> None:
        assert error_of(tmp_path) == ": Is a directory; name a file that can be read"

    def test_bears_a_line_nested_without_end(self, tmp_path: Path) -> None:
        path = write(tmp_path, GOOD + '{"message": ' + "[" * 200_000 + "\n")

        assert error_of(path) == ", line 2: is nested too deeply; remove it"


class TestOrder:
    def test_is_the_same_for_the_same_seed_and_user(self, shipped: tuple[Conversation, ...]) -> None:
        one, other = PromptSource(shipped, 7, 3), PromptSource(shipped, 7, 3)

        assert [one.next() for _ in range(1000)] == [other.next() for _ in range(1000)]

    @pytest.mark.parametrize(("seed", "user"), [(8, 3), (7, 4)])
    def test_differs_for_another(self, shipped: tuple[Conversation, ...], seed: int, user: int) -> None:
        one, other = PromptSource(shipped, 7, 3), PromptSource(shipped, seed, user)

        assert [one.next() for _ in range(50)] != [other.next() for _ in range(50)]

    def test_gives_every_conversation_once_a_pass(self, shipped: tuple[Conversation, ...]) -> None:
        source = PromptSource(shipped, 1)
        everything = sorted(shipped, key=lambda conversation: conversation.turns)
        for _ in range(3):
            given = [source.next() for _ in shipped]

            assert sorted(given, key=lambda conversation: conversation.turns) == everything

    def test_is_not_that_of_the_file(self, shipped: tuple[Conversation, ...]) -> None:
        """Users that start together do not all say what stands next to each other in the file."""
        place = {conversation: number for number, conversation in enumerate(shipped)}
        source = PromptSource(shipped, 1, 1)
        given = [place[source.next()] for _ in range(100)]

        assert any(after - before != 1 for before, after in pairwise(given))

    def test_goes_on_with_a_single_conversation(self) -> None:
        only = Conversation(("Hi",))
        source = PromptSource((only,), 5)

        assert [source.next() for _ in range(3)] == [only] * 3
