"""Receipts beyond the vectors: when they are one, dialects of ids, odd bodies, and the ones we write."""

from __future__ import annotations

import pytest
import smpplib.client
import smpplib.smpp
from hypothesis import given
from hypothesis import strategies as st

from smsroute.smpp import codec, names, receipt, receipt_read
from smsroute.smpp.names import MessageState

TAGS = st.sampled_from(
    [names.RECEIPTED_MESSAGE_ID, names.MESSAGE_STATE, names.NETWORK_ERROR_CODE, names.MESSAGE_PAYLOAD]
)
TEXT = b"id:7 sub:001 dlvrd:001 submit date:2601121501 done date:2601121502 stat:DELIVRD err:000 text:hi"


def delivered(
    short_message: bytes = TEXT, esm_class: int = 4, data_coding: int = 0, tlvs: tuple[tuple[int, bytes], ...] = ()
) -> codec.Pdu:
    body = codec.build_sm(
        source_addr="33612345678",
        destination_addr="ACME",
        short_message=short_message,
        esm_class=esm_class,
        data_coding=data_coding,
        tlv=b"".join(codec.build_tlv(tag, value) for tag, value in tlvs),
    )
    return codec.Pdu(names.DELIVER_SM, 0, 1, body)


def told(*args: object, **kwargs: object) -> receipt.Receipt:
    found = receipt.parse(delivered(*args, **kwargs))  # type: ignore[arg-type]
    assert found is not None
    return found


class TestWhatIsOne:
    @pytest.mark.parametrize("esm_class", [0x04, 0x20, 0x24, 0x44, 0x07, 0x64, 0xC4])
    def test_the_receipt_bits_make_one(self, esm_class: int) -> None:
        """SMSC receipt or intermediate notification, whatever other bits stand beside."""
        assert receipt.is_receipt(esm_class)
        assert told(esm_class=esm_class).ids == (("text", "7"),)

    @pytest.mark.parametrize("esm_class", [0x00, 0x40, 0x08, 0x10, 0x18, 0x03, 0x80])
    def test_a_message_from_a_handset_is_none(self, esm_class: int) -> None:
        """Nor are acknowledgements written by the recipient, even when their text looks like a receipt."""
        assert receipt.parse(delivered(esm_class=esm_class)) is None

    def test_both_tlvs_make_one_without_the_bits(self) -> None:
        """A person cannot write TLVs; one of the two alone is not enough."""
        identity, state = (names.RECEIPTED_MESSAGE_ID, b"7\0"), (names.MESSAGE_STATE, b"\2")
        assert receipt.parse(delivered(b"", 0, tlvs=(identity, state))) is not None
        assert receipt.parse(delivered(b"", 0, tlvs=(identity,))) is None
        assert receipt.parse(delivered(b"", 0, tlvs=(state,))) is None

    def test_data_sm_carries_them_too(self) -> None:
        """Some SMSCs send receipts as data_sm."""
        data = codec.encode(
            names.DATA_SM, {"source_addr": "336", "esm_class": 4}, [(0x001E, b"7\0"), (names.MESSAGE_STATE, b"\2")]
        )
        found = receipt.parse(codec.Pdu(names.DATA_SM, 0, 1, data[16:]))
        assert found is not None
        assert (found.ids, found.final, found.source_addr) == ((("receipted_message_id", "7"),), True, "336")

    def test_alert_notification_is_none(self) -> None:
        """It is handed to the owner as a request, and tells of a handset, not of a message."""
        assert receipt.parse(codec.Pdu(names.ALERT_NOTIFICATION, 0, 1, b"\1\x01336\0\0\x00ACME\0")) is None

    def test_a_broken_pdu_says_what_to_answer(self) -> None:
        """Structure comes first: PduError with the status."""
        with pytest.raises(codec.PduError):
            receipt.parse(codec.Pdu(names.DELIVER_SM, 0, 1, b"\0\0"))

    def test_a_receipt_nobody_can_read_is_still_one(self) -> None:
        """It has no id and no state, so it finalises nothing, but it is answered as a receipt."""
        found = told(b"\0\1\2 what")
        assert (
            found.ids,
            found.state,
            found.final,
            found.state_name,
            found.looks_like_receipt,
        ) == ((), -1, False, "", False)


class TestReading:
    @given(
        st.text("0123456789abcdefXYZ-", min_size=1, max_size=40),
        st.sampled_from(sorted(receipt.STAT_WORDS)),
        st.text("0123456789abc", min_size=1, max_size=4),
        st.binary(max_size=20),
        st.sampled_from([b"text", b"Text"]),
    )
    def test_the_short_cut_reads_what_the_scan_reads(
        self, message_id: str, word: str, err: str, text: bytes, label: bytes
    ) -> None:
        """The common form is read in one go; one space more forces the label scan, which must say the same."""
        plain = (
            f"id:{message_id} sub:001 dlvrd:001 submit date:2601121501 done date:2601121502 stat:{word} err:{err}"
        ).encode()
        rest = b" " + label + b":" + text
        quick, slow = told(plain + rest), told(plain.replace(b" sub", b"  sub") + rest)
        assert quick == slow
        assert receipt_read._PLAIN.fullmatch((plain + rest).decode("latin-1")) is not None
        assert (("text", message_id),) == quick.ids

    @given(st.binary(max_size=160), st.integers(0, 255), st.lists(st.tuples(TAGS, st.binary(max_size=6)), max_size=3))
    def test_no_body_makes_it_raise(self, body: bytes, data_coding: int, tlvs: list[tuple[int, bytes]]) -> None:
        """Whatever a carrier writes, reading it ends in a Receipt."""
        found = told(body, 4, data_coding, tuple(tlvs))
        assert found.state_name in {"", "UNRECOGNISED", *(state.name for state in MessageState)}
        assert len(found.err) <= 16

    @given(
        st.lists(
            st.sampled_from(["id:", "ID:", "stat:", "err:", "text:", "done date:", " ", "\0", "\x85", "7", "DELIVRD"]),
            max_size=30,
        ),
        st.sampled_from(["latin-1", "utf-16-be", "utf-16-le"]),
    )
    def test_no_heap_of_labels_makes_it_raise(self, pieces: list[str], coding: str) -> None:
        """Labels without values, doubled, in any order, in any coding."""
        body = "".join(pieces).encode(coding)
        if len(body) <= 255:
            told(body, 4, 8)

    @pytest.mark.parametrize(
        ("body", "word", "state"),
        [
            (b"id:7 stat:delivrd", "delivrd", MessageState.DELIVERED),
            (b"id:7 stat:FAILED", "FAILED", MessageState.UNDELIVERABLE),
            (b"id:7 stat:ABSENT-SUB err:1", "ABSENT-SUB", -1),
            (b"id: 7 stat: DELIVRD err: 000", "DELIVRD", MessageState.DELIVERED),
            (b"SMSC-7 receipt: id:7 stat:EXPIRED", "EXPIRED", MessageState.EXPIRED),
            (b"id:7 stat:DELIVRD foo:bar", "DELIVRD", MessageState.DELIVERED),
            (b"stat:DELIVRD id:7\0", "DELIVRD", MessageState.DELIVERED),
            (b"paid:9 id:7 stat:UNDELIVERED", "UNDELIVERED", MessageState.UNDELIVERABLE),
        ],
    )
    def test_words_and_spacing(self, body: bytes, word: str, state: int) -> None:
        """Any case, aliases, vendor words, spaces after colons, other text around: the word as written, its state."""
        found = told(body)
        assert ((("text", "7"),), word, state) == (found.ids, found.word, found.state)

    def test_an_unknown_word_is_never_a_failure(self) -> None:
        """It is unrecognised and ends nothing."""
        found = told(b"id:7 stat:MEMEXEC")
        assert (found.state_name, found.final) == ("UNRECOGNISED", False)

    def test_the_tlv_beats_the_word_and_the_conflict_is_kept(self) -> None:
        """message_state decides; that the text disagrees is recorded."""
        found = told(b"id:7 stat:UNDELIV", tlvs=((names.MESSAGE_STATE, b"\2"),))
        assert (found.state, found.conflict) == (MessageState.DELIVERED, "message_state 2, stat UNDELIV")
        assert told(tlvs=((names.MESSAGE_STATE, b"\2"),)).conflict == ""

    @pytest.mark.parametrize(
        ("value", "state"),
        [
            (b"\2", MessageState.DELIVERED),
            (b"\0", MessageState.SCHEDULED),
            (b"\0\0\0\2", MessageState.DELIVERED),
            (b"\x0a", MessageState.EXPIRED),
            (b"", MessageState.EXPIRED),
            (b"\0\0\0\0\2", MessageState.EXPIRED),
        ],
    )
    def test_message_state_of_odd_sizes(self, value: bytes, state: int) -> None:
        """Up to four octets are read, 0 is a state too; what is no state leaves the word to decide."""
        assert state == told(b"id:7 stat:EXPIRED", tlvs=((names.MESSAGE_STATE, value),)).state

    def test_labels_in_the_text_are_text(self) -> None:
        """The first of each label counts, in the common form and in any other."""
        said = b" text:id:999 stat:UNDELIV err:7"
        for head in (TEXT.rpartition(b" text")[0], b"ID:7 STAT:DELIVRD ERR:000"):
            found = told(head + said)
            assert (found.ids, found.word, found.err) == ((("text", "7"),), "DELIVRD", "000")
            assert found.text == "id:999 stat:UNDELIV err:7"

    @pytest.mark.parametrize("coding", ["utf-16-be", "utf-16-le"])
    @pytest.mark.parametrize("data_coding", [0, 8])
    def test_sixteen_bits_either_way_round(self, coding: str, data_coding: int) -> None:
        """Both byte orders are read, whatever data_coding says."""
        found = told("id:7 stat:DELIVRD".encode(coding), data_coding=data_coding)
        assert (found.ids, found.word) == ((("text", "7"),), "DELIVRD")

    def test_a_long_err_is_cut(self) -> None:
        """16 characters are kept of an error nobody expects to be longer."""
        assert told(b"id:7 stat:REJECTD err:" + b"x" * 40).err == "x" * 16

    def test_what_is_kept_of_a_value_is_bounded(self) -> None:
        """32 characters of a word or a date; an id of more than 255 is none, for a part of it is another id."""
        for space in (b" ", b"  "):
            dates = b"submit date:%b done date:%b" % (b"1" * 40, b"2" * 40)
            text = b"id:7%bsub:001 dlvrd:001 %b stat:%b err:000" % (space, dates, b"x" * 40)
            found = told(b"", tlvs=((names.MESSAGE_PAYLOAD, text),))
            assert (found.ids[0][1], found.word) == ("7", "x" * 32)
            assert (found.submit_date, found.done_date) == ("1" * 32, "2" * 32)
        payload = (names.MESSAGE_PAYLOAD, b"id:" + b"7" * 256 + b" stat:DELIVRD err:0")
        assert told(b"", tlvs=(payload,)).ids == ()
        payload = (names.MESSAGE_PAYLOAD, b"id:" + b"7" * 255 + b" stat:DELIVRD err:0")
        assert told(b"", tlvs=(payload,)).ids[0][1] == "7" * 255
        assert told(b"", tlvs=((names.RECEIPTED_MESSAGE_ID, b"7" * 256 + b"\0"),)).ids == ()

    def test_dates_of_nothing_are_none(self) -> None:
        """Blank and all-zero dates are not dates."""
        found = told(b"id:7 submit date:0000000000 done date: stat:REJECTD err:000")
        assert (found.submit_date, found.done_date, found.state) == ("", "", MessageState.REJECTED)

    @pytest.mark.parametrize(
        ("value", "error"),
        [(b"027", "027"), (b"0a7", "0a7"), (b"27", "27"), (b"\3\0\x1b", (3, 27)), (b"", None)]
        + [(odd, odd) for odd in (b"\3\x1b", b"\3\0\0\x1b")],
    )
    def test_network_error_code(self, value: bytes, error: object) -> None:
        """Type and code; what begins with an ASCII digit is text, as no type does; of another size as it came."""
        assert error == told(tlvs=((names.NETWORK_ERROR_CODE, value),)).network_error

    def test_final_states(self) -> None:
        """ACCEPTED, UNKNOWN, ENROUTE and SCHEDULED end nothing."""
        assert {"ACCEPTED", "UNKNOWN", "ENROUTE", "SCHEDULED"} == {
            state.name for state in MessageState if not told(b"", tlvs=((names.MESSAGE_STATE, bytes((state,))),)).final
        }


class TestIds:
    @pytest.mark.parametrize(
        ("rule", "in_response", "in_receipt"),
        [
            ("auto", "A1 ", (("text", "A1"),)),
            ("exact", "A1\0", (("text", "A1"),)),
            ("hex-dec", "1a0c3b4d", (("text", "437009229"),)),
            ("hex-dec", "1A0C3B4D", (("text", "0437009229"),)),
            ("hex-dec", "0x1A0C3B4D", (("text", "437009229"),)),
            ("hex-dec", "1a0c3b4d", (("receipted_message_id", "1a0c3b4d"), ("text", "437009229"))),
            ("hex-dec", "38601fa", (("receipted_message_id", "38601fa"),)),
            ("hex-dec", "812FC7470000001B", (("text", "9308878062554710043"),)),
            ("hex-dec", "1A0C3B4D\0", (("text", " 437009229 "),)),
            ("dec-hex", "437009229", (("text", "1A0C3B4D"),)),
            ("dec-hex", "0437009229", (("text", "0x1a0c3b4d"),)),
            ("unpad", "0003493221", (("text", "3493221"),)),
            ("unpad", "3493221", (("text", "0000000003493221"),)),
            ("unpad", "000", (("text", "0"),)),
            ("casefold", "0E999F21-AB", (("text", "0e999f21-ab"),)),
            ("hex-dec", "not-hex", (("text", "not-hex"),)),
        ],
    )
    def test_a_receipt_finds_its_response(self, rule: str, in_response: str, in_receipt: receipt.Ids) -> None:
        """Under each dialect the receipt's first name is the one the response was kept under."""
        assert receipt.id_keys(rule, in_receipt)[0] == receipt.response_key(rule, in_response)

    @pytest.mark.parametrize(
        ("in_response", "in_receipt"), [("1a0c3b4d", "437009229"), ("A1", "a1"), ("007", "7"), ("0x7", "7")]
    )
    def test_auto_turns_no_id_into_another(self, in_response: str, in_receipt: str) -> None:
        """What is not the same trimmed id is another message's until an operator says otherwise."""
        for rule in ("auto", "exact"):
            assert receipt.response_key(rule, in_response) not in receipt.id_keys(rule, [("text", in_receipt)])

    def test_candidates_are_safest_first_and_once(self) -> None:
        """The TLV, then the text; equal ones count once; none at all is an empty list."""
        assert receipt.id_keys("auto", [("receipted_message_id", "a"), ("text", "b")]) == ["a", "b"]
        assert receipt.id_keys("auto", [("receipted_message_id", "a"), ("text", "a ")]) == ["a"]
        assert receipt.id_keys("auto", []) == []

    @given(st.sampled_from(["auto", "exact", "hex-dec", "dec-hex", "unpad", "casefold"]), st.text(max_size=100))
    def test_no_id_makes_it_raise(self, rule: str, message_id: str) -> None:
        """Ids are whatever a carrier writes: digits of other scripts, underscores, hundreds of characters."""
        receipt.response_key(rule, message_id)
        receipt.id_keys(rule, [("text", message_id), ("receipted_message_id", message_id)])

    def test_digits_of_other_scripts_are_no_numbers(self) -> None:
        """int() would take them, and underscores; a carrier's id must not become another."""
        for odd in ("1_0", "\u0661\u0660", "+10", " 1 0"):
            assert receipt.response_key("dec-hex", odd) == odd.strip()


class TestWriting:
    SUBMIT = codec.build_sm(
        source_addr="ACME",
        source_addr_ton=5,
        destination_addr="33612345678",
        dest_addr_ton=1,
        dest_addr_npi=1,
        short_message=b"Your code is 4821, keep it\x00 to yourself",
        registered_delivery=1,
    )

    def build(self, **changes: object) -> codec.SubmitSm:
        values = {"message_id": "0N1ABC", "state": 2, "submitted_at": 1768230060.0, "done_at": 1768230185.9} | changes
        submitted = values.pop("submitted", self.SUBMIT)
        assert isinstance(submitted, bytes)
        text_at = values.pop("text_at", codec.parse_sm(self.SUBMIT).text_at)
        return codec.parse_sm(receipt.build(submitted, text_at, **values))  # type: ignore[arg-type]

    def test_appendix_b_word_for_word(self) -> None:
        """The text every client reads, addresses swapped, esm_class 0x04, data_coding 0, both TLVs."""
        sm = self.build()
        assert sm.short_message == (
            b"id:0N1ABC sub:001 dlvrd:001 submit date:2601121501 done date:2601121503 "
            b"stat:DELIVRD err:000 text:Your code is 4821, k"
        )
        assert (sm.source_addr, sm.source_addr_ton, sm.source_addr_npi) == ("33612345678", 1, 1)
        assert (sm.destination_addr, sm.dest_addr_ton, sm.dest_addr_npi) == ("ACME", 5, 0)
        assert (sm.esm_class, sm.data_coding, sm.registered_delivery, sm.service_type) == (4, 0, 0, "")
        assert codec.tlvs(sm.tlv) == [(names.RECEIPTED_MESSAGE_ID, b"0N1ABC\0"), (names.MESSAGE_STATE, b"\2")]

    def test_no_tlvs_for_an_old_client(self) -> None:
        """A 3.3 client sees the text only."""
        assert self.build(with_tlvs=False).tlv == b""

    @pytest.mark.parametrize("state", [state for state in MessageState if state not in (0, 9)])
    def test_we_read_what_we_write(self, state: MessageState) -> None:
        """Id, state and error of our own receipts come back, and TLV and text agree."""
        found = receipt.read(self.build(state=state, err="027"))
        assert (state, "027", "", "0N1ABC") == (found.state, found.err, found.conflict, found.ids[0][1])
        assert found.ids[0][1] == found.ids[1][1]
        assert len(found.word) == 7

    def test_a_cut_submit_has_a_blank_text(self) -> None:
        """The engine keeps the addresses only, once a part is told."""
        text_at = codec.parse_sm(self.SUBMIT).text_at
        sm = self.build(submitted=self.SUBMIT[:text_at])
        assert sm.short_message.endswith(b"err:000 text:")
        assert sm.source_addr == "33612345678"

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"data_coding": 8, "short_message": "Код".encode("utf-16-be")}, b""),
            ({"data_coding": 4, "short_message": b"\1\2"}, b""),
            ({"short_message": b"a\0\x1b\xffb"}, b"a???b"),
            ({"esm_class": 0x40, "short_message": b"\5\0\3\1\2\1second"}, b"second"),
            ({"esm_class": 0x40, "short_message": b"\xff"}, b""),
            ({"tlv": codec.build_tlv(names.MESSAGE_PAYLOAD, b"long text of a payload")}, b"long text of a paylo"),
        ],
    )
    def test_only_plain_text_is_quoted(self, fields: dict[str, object], text: bytes) -> None:
        """Unprintable octets as ?, headers left out, nothing of binary or UCS-2."""
        submitted = codec.build_sm(destination_addr="33612345678", **fields)  # type: ignore[arg-type]
        sm = self.build(submitted=submitted, text_at=codec.parse_sm(submitted).text_at)
        assert sm.short_message.partition(b"text:")[2] == text

    def test_smpplib_reads_it(self) -> None:
        """An independent client parses the PDU and finds the TLVs."""
        submitted_at = codec.parse_sm(self.SUBMIT).text_at
        body = receipt.build(
            self.SUBMIT, submitted_at, message_id="0N1ABC", state=2, submitted_at=1768230060.0, done_at=1768230185.0
        )
        client = smpplib.client.Client("127.0.0.1", 9)
        theirs = smpplib.smpp.parse_pdu(codec.pdu(names.DELIVER_SM, 0, 1, body), client=client)
        assert (theirs.receipted_message_id, theirs.message_state, theirs.esm_class) == (b"0N1ABC", 2, 4)
        assert theirs.short_message == codec.parse_sm(body).short_message
