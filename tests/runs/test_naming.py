"""The names of inits for a person."""

from sslcli.runs.naming import inits_in_words


def test_a_file_is_never_called_as_an_init_and_two_of_one_name_have_their_hash() -> None:
    own, file = "pretrained", "file-pretrained-1234abcd"
    assert inits_in_words([own, file]) == {own: "pretrained", file: "pretrained (1234abcd)"}
    assert inits_in_words([file]) == {file: "pretrained (1234abcd)"}
    two = ["file-lite0-1234abcd", "file-lite0-5678abcd"]
    assert list(inits_in_words(two).values()) == ["lite0 (1234abcd)", "lite0 (5678abcd)"]
    assert inits_in_words(["scratch", *two[:1]]) == {"scratch": "scratch", two[0]: "lite0"}
