"""The numbers, checked against smpplib's, and the version rules."""

from __future__ import annotations

import pytest
import smpplib.command
import smpplib.consts

from smsroute.smpp import names, pdu

TLV_NAMES = {row.name for row in pdu.TLVS.values()}


def test_statuses_are_those_of_smpplib() -> None:
    """Every ESME_R constant smpplib has stands in our table under the same name and number."""
    theirs = {
        name.removeprefix("SMPP_"): number
        for name, number in vars(smpplib.consts).items()
        if name.startswith("SMPP_ESME_R")
    }
    assert len(theirs) > 40
    ours = {name: number for number, name in names.STATUS_NAMES.items()}
    assert theirs.items() <= ours.items()


def test_commands_are_those_of_smpplib() -> None:
    """Every command id smpplib names has the same name here."""
    from smpplib.command_codes import commands

    assert len(commands) > 20
    assert {number: name for name, number in commands.items()}.items() <= names.COMMAND_NAMES.items()


def test_tlv_tags_are_those_of_smpplib() -> None:
    """Every optional parameter smpplib names has the same tag here, but for its own spelling of two."""
    theirs = dict(smpplib.consts.OPTIONAL_PARAMS)
    ours = {row.name: tag for tag, row in pdu.TLVS.items()}
    assert len(theirs) > 30
    shared = theirs.keys() & ours.keys()
    assert len(shared) >= len(theirs) - 3, sorted(theirs.keys() - ours.keys())
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_tags_the_code_uses_are_those_of_the_table() -> None:
    """Each tag constant has its own name in the TLV table."""
    constants = {name.lower(): value for name, value in vars(names).items() if name.lower() in TLV_NAMES}
    assert len(constants) == 12
    assert constants == {row.name: tag for tag, row in pdu.TLVS.items() if row.name in constants}


def test_message_states_are_those_of_smpplib() -> None:
    """MessageState agrees with smpplib's constants."""
    for state in names.MessageState:
        theirs = getattr(smpplib.consts, f"SMPP_MESSAGE_STATE_{state.name}", None)
        assert theirs in (None, state)


def test_names_of_numbers_nobody_named() -> None:
    """A vendor's number is shown in hex."""
    assert (names.status_name(0x58), names.status_name(0x431)) == ("ESME_RTHROTTLED", "0x00000431")
    assert (names.command_name(0x80000004), names.command_name(0xFFFF)) == ("submit_sm_resp", "0x0000ffff")
    assert (pdu.tlv_name(0x0428), pdu.tlv_name(0x1403)) == ("congestion_state", "0x1403")


def test_every_table_has_a_name_and_every_name_a_table() -> None:
    """No command can be decoded and not named, or named and not decoded."""
    assert set(pdu.TABLES) == set(names.COMMAND_NAMES)


@pytest.mark.parametrize(
    ("said", "means"),
    [(0, 0x33), (0x22, 0x33), (0x33, 0x33), (0x34, 0x34), (0x35, 0x34), (0x50, 0x50), (0x51, 0x50), (0xFF, 0x50)],
)
def test_interface_versions_fold_to_three(said: int, means: int) -> None:
    """Below 0x34 is 3.3, above 0x50 is 5.0."""
    assert means == names.interface_version(said)
