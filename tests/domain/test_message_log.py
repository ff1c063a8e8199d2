"""Records of the message log: ids in the order of time, texts that every database accepts, each recipient once."""

from datetime import timedelta

from mailsettings.domain.message_log import (
    MAX_LOGGED_TEXT_LENGTH,
    MAX_WORDS_LENGTH,
    MessageRecipient,
    first_id,
    is_message_id,
    logged,
)

from support.messages import START, message


def test_ids_have_the_order_of_time() -> None:
    same = [logged(message(1)).id for _ in range(50)]
    ids = [logged(message(0)).id, *same, logged(message(2)).id]

    assert ids == sorted(set(ids))
    assert {len(each) for each in ids} == {32}
    assert all(map(is_message_id, ids))
    assert not any(map(is_message_id, ["", "f" * 31, "F" * 32, "g" * 32, f"{ids[0]}\n"]))


def test_a_time_is_a_bound_of_ids() -> None:
    at = logged(message(5))

    assert first_id(at.record.at) <= at.id < first_id(at.record.at + timedelta(milliseconds=1))
    assert first_id(START.replace(year=1960)) == "0" * 12


def test_texts_are_cut_and_storable() -> None:
    odd = "a\0\ud800" + "x" * 2000
    record = logged(message(0, odd, sender=odd, words=odd, message_id=odd)).record

    assert record.sender == "a?" + "x" * (MAX_LOGGED_TEXT_LENGTH - 3)
    assert (record.words, record.message_id) == (record.sender[:MAX_WORDS_LENGTH], record.sender)
    assert record.recipients[0].address == record.sender
    assert logged(message(message_id=None)).record.message_id is None


def test_a_recipient_is_logged_once_in_lower_case() -> None:
    given = [("A@example.com", False), ("b@example.com", False), ("a@EXAMPLE.com", True), ("A@example.com", False)]
    recipients = tuple(MessageRecipient(address, accepted) for address, accepted in given)

    assert logged(message(recipients=recipients)).record.recipients == (
        MessageRecipient("a@example.com", accepted=True),
        MessageRecipient("b@example.com", accepted=False),
    )
