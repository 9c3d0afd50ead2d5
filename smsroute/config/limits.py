"""Every number of the engine on one page: its unit in its name, its default, its range, and why.

Rules:
- No other file holds a limit or a timer (law 10). A constant of the protocol, or of how a figure is worked out, stands
  where it is used.
- Every line may be overridden under `limits:` in smsroute.yaml. A duration loses its `_s` there and carries its unit:
  `drain_timeout: 20s`. `smsroute check --defaults` prints the page with the reasons beside the values.
- Where a number has a precedent, it is named.

Walk: built by `load`, handed down by the engine; tests build it with tiny values so that edges happen in every run.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from smsroute.config.kinds import Count, Decimal, Kind, Octets, Seconds

DAY: Final = 86_400


def _knob(default: object, kind: Kind, why: str) -> Any:
    return attrs.field(default=default, metadata={"kind": kind, "why": why})


def octets(default: int, low: int, high: int, why: str) -> Any:
    """A size knob, in octets."""
    return _knob(default, Octets(low, high), why)


def count(default: int, low: int, high: int, why: str) -> Any:
    """A knob that counts things."""
    return _knob(default, Count(low, high), why)


def seconds(default: float, low: float, high: float, why: str) -> Any:
    """A duration knob, in seconds."""
    return _knob(float(default), Seconds(low, high), why)


def seconds_list(default: tuple[float, ...], low: float, high: float, why: str) -> Any:
    """A knob of several durations, in seconds."""
    return _knob(tuple(map(float, default)), Seconds(low, high), why)


def decimal(default: float, low: float, high: float, why: str) -> Any:
    """A knob without a unit: a share of one, a factor."""
    return _knob(float(default), Decimal(low, high), why)


# Rows read: name, default, lowest, highest accepted, why.
# fmt: off
@attrs.frozen
class Limits:
    """The page."""

    # -- the wire ------------------------------------------------------------------------------------------------------
    pdu_octets_max:             int   = octets(66_560, 512, 1 << 20, "64 KiB of payload and TLVs; judged unbuffered")
    # What a carrier says is read in larger bites than new submits, so that under full load the engine finishes messages
    # before it admits more.
    esme_receive_octets:        int   = octets(16_384, 256, 1 << 20, "one read of an ESME: some 120 submits, one batch")
    esme_batches_max:           int   = count(2, 1, 1000, "reads of one ESME session on their way to the disk")
    receive_octets:             int   = octets(262_144, 256, 1 << 24, "one read of a carrier")
    send_buffer_octets_max:     int   = octets(4 << 20, 1024, 1 << 28, "a peer that does not read is cut off here")
    sessions_max:               int   = count(1000, 1, 100_000, "ESME links, bound or not")
    links_per_peer_max:         int   = count(200, 1, 100_000, "from one address, before and after bind")
    esme_send_stall_s:          float = seconds(30, 0.1, 3600, "an ESME that reads nothing for so long is cut off")
    unbound_octets_max:         int   = octets(4096, 256, 1 << 20, "a PDU, or answers unread, of one not bound yet")
    password_checks_max:        int   = count(1, 1, 64, "hashes checked at a time: a core and up to 256 MiB each")
    password_cache_s:           float = seconds(600, 0, DAY, "a right password needs no second check; 0: always")
    password_guesses_max:       int   = count(10, 1, 10_000, "wrong, from one address, of one ESME; then wait")
    password_guess_s:           float = seconds(10, 0.01, 3600, "and one more guess in so long")
    password_guessers_max:      int   = count(10_000, 10, 10_000_000, "addresses watched; the oldest is let go")
    bind_timeout_s:             float = seconds(5, 0.1, 600, "TCP open to bind; cloudhopper: 5 s")
    esme_enquire_link_s:        float = seconds(60, 0, 3600, "silence before we ask; 0: never")
    esme_response_timeout_s:    float = seconds(30, 0.1, 600, "deliver_sm unanswered: goes again elsewhere")
    enquire_link_missed_max:    int   = count(2, 1, 100, "unanswered in a row: the peer is dead")
    unbind_timeout_s:           float = seconds(5, 0.1, 60, "many peers never answer unbind")
    first_sequence:             int   = count(1, 1, 0x7FFFFFFF, "of each session; tests start near the wrap")
    reconnect_already_min_s:    float = seconds(5, 0.1, 3600, "bind refused as bound already: the pause")
    reconnect_already_max_s:    float = seconds(120, 0.1, 3600, "doubling up to this")
    reconnect_refused_s:        float = seconds(900, 1, 86400, "wrong password or system_id: only a person mends it")
    connect_timeout_s:          float = seconds(10, 0.1, 600, "TCP and TLS towards a carrier")
    nacks_max:                  int   = count(10, 1, 10_000, "faulty PDUs in a row: the peer is hopeless")
    tombstones_max:             int   = count(10_000, 1, 1_000_000, "timed-out requests whose late answer still counts")

    # -- messages in memory --------------------------------------------------------------------------------------------
    open_messages_max:          int   = count(1_000_000, 1, 50_000_000, "beyond: new submits get ESME_RMSGQFUL")
    esme_open_messages_max:     int   = count(500_000, 1, 50_000_000, "one ESME cannot take all of it")
    finished_in_memory_max:     int   = count(50_000, 0, 10_000_000, "for query_sm and late receipts; older: store")
    orphans_max:                int   = count(100_000, 0, 10_000_000, "receipts parked; the oldest goes first")
    auto_evidence_min:          int   = count(3, 1, 1000, "receipts in a row that teach `ids: auto` a rule")
    auto_contradictions_max:    int   = count(3, 1, 1000, "in a row that make it forget one")
    auto_samples_min:           int   = count(16, 1, 64, "ids seen before short ones are believed: one in 16 shows a-f")
    receipt_pattern_characters_max: int = count(255, 64, 512, "of a receipt's text: no `pattern` sees a longer one")
    orphan_ttl_s:               float = seconds(DAY, 1, 30 * DAY, "a receipt may wait so long for its response")
    adopt_after_s:              float = seconds(60, 0.1, DAY, "a late response may still name what a receipt is of")
    adopt_skew_s:               float = seconds(90, 1, DAY, "a carrier's submit date and ours: minutes, and clocks")
    adopt_numbers_max:          int   = count(500, 1, 1_000_000, "handsets with a part in doubt, looked at in a round")
    adopt_orphans_max:          int   = count(500, 1, 1_000_000, "parked receipts asked again in a round: some 5 ms")
    adopt_renamed_max:          int   = count(5_000, 1, 1_000_000, "named under an older `ids:`, looked at in a round")
    id_repeats_max:             int   = count(5, 2, 10_000, "an id a carrier gives so often in a row is none")
    multiparts_max:             int   = count(100_000, 1, 10_000_000, "multipart messages whose way is remembered")
    outbind_interval_s:         float = seconds(30, 0.1, DAY, "between calls to an ESME that waits for an outbind")
    split_parts_max:            int   = count(32, 2, 255, "of a text we split; a longer one: ESME_RINVMSGLEN")
    parts_missing_s:            float = seconds(300, 1, 7 * DAY, "a receipt for a whole message waits so for parts")
    merge_wait_s:               float = seconds(10, 0, 3600, "for parts, at a carrier that wants them as one payload")
    multipart_ttl_s:            float = seconds(3600, 1, 7 * DAY, "between the first and the last part")

    # -- time a message has --------------------------------------------------------------------------------------------
    validity_default_s:         float = seconds(DAY, 1, 30 * DAY, "no validity_period given")
    validity_max_s:             float = seconds(7 * DAY, 1, 90 * DAY, "longer wishes are cut to a week")
    schedule_max_s:             float = seconds(30 * DAY, 0, 90 * DAY, "further ahead: ESME_RINVSCHED")
    schedule_past_s:            float = seconds(10, 0, DAY, "a date past by no more means now: clocks differ")
    query_after_s:              float = seconds(900, 1, 7 * DAY, "taken, no receipt: ask a carrier with query_sm")
    query_interval_s:           float = seconds(3600, 1, 7 * DAY, "and again, until its validity and grace end")
    query_wait_s:               float = seconds(300, 0, DAY, "beyond those: a last answer is waited for so long")
    query_parts_max:            int   = count(2000, 1, 1_000_000, "looked at in one round: some 0.3 ms")
    queries_max:                int   = count(5, 1, 1000, "unanswered per bind, beside its window")
    receipt_grace_s:            float = seconds(3600, 0, 7 * DAY, "past validity before we say UNKNOWN ourselves")
    retry_schedule_s: tuple[float, ...]   = seconds_list((1, 5, 30, 120, 600), 0.01, DAY, "waits between tries")
    retry_schedule_otp_s: tuple[float, ...] = seconds_list((1, 2, 4, 8, 15), 0.01, DAY, "of a code that soon is old")
    retry_schedule_alert_s: tuple[float, ...] = seconds_list((), 0.01, DAY, "empty: as retry_schedule")
    retry_schedule_info_s: tuple[float, ...] = seconds_list((), 0.01, DAY, "empty: as retry_schedule")
    retry_schedule_marketing_s: tuple[float, ...] = seconds_list((), 0.01, DAY, "empty: as retry_schedule")
    attempts_max:               int   = count(200, 1, 1000, "a day of the schedule; validity ends a message before it")
    otp_resend_after_s:         float = seconds(10, 0.1, DAY, "in doubt, where the route says nothing")
    sweep_interval_s:           float = seconds(1, 0.01, 60, "validity, doubt and orphans are looked at this often")
    sweep_interval_min_s:       float = seconds(0.01, 0.001, 1, "and retries due at most this often")
    sweep_parts_max:            int   = count(10_000, 1, 1_000_000, "parts looked at in one round: some 5 ms")
    dispatch_batch_max:         int   = count(2000, 1, 100_000, "parts one bind takes in one go")
    clock_step_s:               float = seconds(0.5, 0.01, 3600, "wall set back by more: retries do not wait for it")
    drain_timeout_s:            float = seconds(20, 0, 3600, "at stop, for answers in flight; systemd waits 90 s")
    leave_receipts_s:           float = seconds(300, 0, DAY, "an account left the config: its receipts still come")

    # -- messages that come back ---------------------------------------------------------------------------------------
    loop_window_s:              float = seconds(30, 0, 3600, "sent, and submitted by another ESME: refused; 0: off")
    loop_marks_max:             int   = count(400_000, 2, 50_000_000, "messages remembered for it, 79 octets each")
    loop_warning_s:             float = seconds(300, 1, DAY, "health warns of a loop for so long")

    # -- the outbox ----------------------------------------------------------------------------------------------------
    outbox_batch_max:           int   = count(500, 1, 100_000, "deliver_sm one session takes in one go")
    outbox_retry_min_s:         float = seconds(1, 0.01, 3600, "a receipt was refused; then twice that, and so on")
    outbox_retry_max_s:         float = seconds(60, 0.01, DAY, "the longest wait between two tries")
    outbox_attempts_max:        int   = count(50, 1, 10_000, "refusals of one receipt; waiting unbound costs none")
    outbox_memory_max:          int   = count(20_000, 1, 10_000_000, "owed to one ESME in memory; newer wait on disk")
    outbox_page_parts:          int   = count(1000, 1, 100_000, "read back at a time: 2 ms of Python")
    outbox_receipts_max:        int   = count(10_000_000, 1, 1 << 40, "owed to one ESME in all; beyond, the oldest go")
    outbox_ttl_s:               float = seconds(7 * DAY, 1, 90 * DAY, "a receipt nobody fetches is given up")
    mo_repeat_s:                float = seconds(120, 0, 3600, "a carrier sends one again, unanswered for it; 0: off")
    mo_answer_doubt_s:          float = seconds(10, 0.1, 600, "an answer so late, or as near its link's end, is lost")
    mo_thumb_s:                 float = seconds(1, 0, 60, "by another link so soon after our answer it is a repetition")
    mo_remembered_max:          int   = count(10_000, 1, 1_000_000, "messages from handsets, to know one again")
    mo_first_part_s:            float = seconds(60, 0, 3600, "later parts are sent back: the first has the keyword")
    mo_refused_warning_s:       float = seconds(3600, 1, DAY, "a handset wrote to nobody's number: health warns")
    memory_warning_share:       float = decimal(0.8, 0.01, 1, "of open_messages_max in memory: health warns")
    certificate_warning_s:      float = seconds(14 * DAY, 0, 365 * DAY, "a certificate ends so soon: health warns")
    certificate_critical_s:     float = seconds(2 * DAY, 0, 365 * DAY, "and calls it critical")
    checkpoint_warning_s:       float = seconds(60, 1, DAY, "no checkpoint for so long: health warns")
    quality_warning:            float = decimal(0.7, 0, 1, "a carrier below: health warns. Full windows alone: 0.8")
    orphans_warning_share:      float = decimal(0.1, 0, 1, "of a carrier's receipts match nothing: health warns")
    outbox_warning_s:           float = seconds(300, 1, 7 * DAY, "the oldest receipt waits so long: health warns")

    # -- the store -----------------------------------------------------------------------------------------------------
    commit_interval_s:          float = seconds(0.001, 0, 1, "between two commits: what comes meanwhile shares one")
    journal_events_max:         int   = count(20_000, 1, 1_000_000, "one group commit")
    journal_waiting_max:        int   = count(200_000, 1, 10_000_000, "waiting for the disk; beyond, readers pause")
    store_retry_s:              float = seconds(0.5, 0.01, 60, "the disk refused: try again")
    checkpoint_interval_s:      float = seconds(5, 0.01, 3600, "what recovery replays at most, in time")
    checkpoint_slice_parts:     int   = count(1000, 1, 1_000_000, "packed at once, while all else waits: 1 to 3 ms")
    history_retention_s:        float = seconds(30 * DAY, 60, 3650 * DAY, "what `trace` can still tell")
    prune_interval_s:           float = seconds(300, 1, DAY, "between looks for old history")
    prune_rows_max:             int   = count(5000, 1, 1_000_000, "one statement, as above")

    # -- decisions, kept to explain (routing/record) -------------------------------------------------------------------
    decision_interval_s:        float = seconds(1, 0.001, 3600, "a route, network and class keeps one this often")
    decision_share:             float = decimal(0.05, 0.001, 1, "a share that moved by so much is another decision")
    decision_refresh_s:         float = seconds(3600, 1, 30 * DAY, "one that stands so long is kept anew")
    decisions_waiting_max:      int   = count(5000, 1, 1_000_000, "not on disk yet; beyond, new ones are dropped")
    decisions_retention_s:      float = seconds(30 * DAY, 60, 3650 * DAY, "as long as the messages they explain")
    decisions_rows_max:         int   = count(50_000, 100, 10_000_000, "some 2 KB each; beyond, the oldest go")

    # -- a carrier's score (design section 6) --------------------------------------------------------------------------
    latency_tau_s:              float = seconds(10, 0.1, 600, "peak-EWMA decay; Finagle: 10 s")
    latency_baseline_tau_s:     float = seconds(600, 1, DAY, "what its usual latency means")
    latency_floor_s:            float = seconds(0.05, 0.001, 10, "faster than this is all the same")
    latency_tolerance:          float = decimal(2, 1, 100, "times the usual peak: a healthy carrier reaches it")
    latency_baseline_rise:      float = decimal(60, 1, 10_000, "usual rises so many times slower than it falls")
    throttled_weight:           float = decimal(0.5, 0, 1, "quality lost when all is throttled; the pace does the rest")
    occupancy_from:             float = decimal(0.8, 0, 0.99, "windows fuller than this begin to cost quality")
    occupancy_weight:           float = decimal(0.2, 0, 1, "quality lost when they are full")
    success_buckets:            int   = count(10, 2, 600, "an exact ratio: an EWMA hides bursts")
    success_bucket_s:           float = seconds(3, 0.1, 600, "times the buckets: success looks back 30 s")
    receipt_window_s:           float = seconds(1800, 10, DAY, "delivered ratio and receipt delay look back")
    receipt_samples_min:        int   = count(50, 1, 1_000_000, "fewer say nothing")
    receipt_buckets:            int   = count(10, 2, 600, "the receipt window rotates in so many steps")
    receipt_silence_s:          float = seconds(60, 1, DAY, "responses flow, receipts do not; longer if they are slow")
    receipt_silent_term:        float = decimal(0.2, 0, 1, "quality of one so silent: below quality_floor, it spills")
    receipt_first_s:            float = seconds(100, 1, DAY, "the same for one that never sent a receipt at all")
    receipt_retry_s:            float = seconds(900, 1, DAY, "a silent one nobody uses regains trust: real parts ask")
    receipt_delay_tolerance:    float = decimal(4, 1, 1000, "times the usual delay before receipts are late")
    receipt_delay_floor_s:      float = seconds(10, 0, 3600, "no receipt this quick is late")
    delivered_tolerance:        float = decimal(0.9, 0.01, 1, "this share of the usual delivered ratio is as usual")
    receipt_fast_s:             float = seconds(0.5, 0, 60, "paging and radio alone take longer: no handset said it")
    receipt_near_share:         float = decimal(0.15, 0.01, 1, "this close to the middle delay counts as the same")
    week_bucket_s:              float = seconds(21_600, 60, DAY, "its own week is kept in steps of six hours")
    week_buckets:               int   = count(28, 2, 1000, "and this many: seven days")
    networks_max:               int   = count(2000, 1, 100_000, "(carrier, network) pairs with a score of their own")
    tally_networks_max:         int   = count(200, 1, 100_000, "networks of a carrier whose receipts are counted apart")

    own_stall_s:                float = seconds(0.25, 0.01, 600, "our disk or loop took longer: no carrier's latency")
    score_keep_interval_s:      float = seconds(60, 0.1, DAY, "figures that outlive us are written so often")
    score_keep_age_s:           float = seconds(7 * DAY, 0, 90 * DAY, "older ones are not believed; 0: none are")

    # -- alarms: what a person should look at --------------------------------------------------------------------------
    alarm_interval_s:           float = seconds(1, 0.01, 60, "between looks")
    alarm_pairs_max:            int   = count(200, 1, 100_000, "networks of a carrier in one look, in turn: some 1 ms")
    bleed_past_samples_min:     int   = count(500, 1, 1_000_000, "receipts of the week before, or nothing to compare")
    bleed_sigmas:               float = decimal(3, 1, 10, "Wilson bound: one look in 700 errs by chance alone")
    bleed_share:                float = decimal(0.95, 0.01, 1, "surely below this share of its week's ratio: raised")
    bleed_clear_share:          float = decimal(0.98, 0.01, 1, "back above this share: cleared")
    silence_clear_receipts:     int   = count(10, 1, 1_000_000, "one stray receipt is not the end of a silence")
    fake_samples_min:           int   = count(1000, 1, 10_000_000, "receipts before they may look invented")
    fake_delivered_share:       float = decimal(0.995, 0, 1, "no real network delivers more than this")
    fake_share:                 float = decimal(0.95, 0.01, 1, "so many too fast, or too much alike: raised")
    fake_clear_share:           float = decimal(0.85, 0, 1, "fewer: cleared")
    saturated_s:                float = seconds(30, 0.1, 3600, "full windows or a queue for so long: raised")
    saturated_clear_share:      float = decimal(0.5, 0, 1, "of the looks of late: cleared below")
    contract_share:             float = decimal(0.95, 0.01, 1, "of the contract used over the success window: raised")
    contract_clear_share:       float = decimal(0.8, 0, 1, "and cleared below")

    # -- dead and alive again ------------------------------------------------------------------------------------------
    dead_consecutive_faults:    int   = count(5, 1, 10_000, "Finagle and Envoy: 5")
    dead_row_s:                 float = seconds(0.2, 0, 60, "and that row is so old: five in 2 ms are chance")
    dead_row_faults:            int   = count(50, 1, 100_000, "or so long")
    dead_success_share:         float = decimal(0.8, 0, 1, "below it, over the success window")
    dead_samples_min:           int   = count(20, 1, 1_000_000, "fewer say nothing")
    latency_dead_factor:        float = decimal(10, 1.1, 1000, "this many times its usual latency")
    latency_dead_s:             float = seconds(15, 0.1, 3600, "and that for so long")
    ejection_min_s:             float = seconds(5, 0.01, 3600, "the first; times the number in a row, with jitter")
    ejection_max_s:             float = seconds(300, 0.01, DAY, "Envoy: 300 s")
    ejection_forget_s:          float = seconds(300, 1, DAY, "well for so long: the next ejection is short again")
    probe_timeout_s:            float = seconds(15, 0.1, 600, "a probe unanswered is a failed one")
    probe_wait_s:               float = seconds(10, 0, 3600, "for a part of a resendable class; then any will do")
    probe_row_max:              int   = count(8, 1, 100, "probes in a row of who died half-sick; relapses: 2, 4, 8")
    probe_gap_s:                float = seconds(1, 0, 60, "between them: a link up for 5 s in 10 does not pass")
    slow_start_s:               float = seconds(30, 0, 3600, "from slow_start_share to the full share; 0: at once")
    slow_start_share:           float = decimal(0.1, 0, 1, "what a carrier gets the moment it is back")
    slow_start_max_s:           float = seconds(120, 0, 3600, "each relapse makes it a slow_start longer, up to this")
    bind_slow_dead_s:           float = seconds(3, 0.1, 3600, "as latency_dead, of one bind among well ones")
    bind_held_s:                float = seconds(30, 0, 3600, "its faults wait so long for a verdict")
    bind_ejected_share_max:     float = decimal(0.5, 0, 1, "of a carrier's binds, by themselves; Envoy: 10 %, or one")
    network_ejected_share_max:  float = decimal(0.5, 0, 1, "of the networks in use; more sick: it is the carrier")
    network_ejected_min:        int   = count(3, 2, 100_000, "and at least so many: two may be a coincidence")
    network_forget_s:           float = seconds(600, 1, DAY, "sick and nobody sent to it: forgiven")
    panic_healthy_share:        float = decimal(0.5, 0, 1, "fewer healthy: use all, and say so; Envoy: 0.5")

    # -- choice --------------------------------------------------------------------------------------------------------
    short_code_digits_max:      int   = count(8, 1, 20, "`from_kind: short`; the longest in use have 8")
    overprovision:              float = decimal(1.4, 1, 10, "primaries with 71 % left still take all; Envoy: 1.4")
    quality_band:               float = decimal(0.1, 0, 1, "balanced: the cheapest this close to the best")
    cost_band:                  float = decimal(0.1, 0, 10, "balanced: costs this close are one; weights share")
    quality_floor:              float = decimal(0.3, 0.001, 1, "below it traffic spills on, in proportion")
    demand_tau_s:               float = seconds(2, 0.1, 600, "what a carrier was given of late forgets so")
    room_from:                  float = decimal(0.9, 0, 1, "given less than this share of that: no limit")
    queue_drain_s:              float = seconds(1, 0.01, 600, "newcomers leave room for the queue to drain in so long")
    spill_wait_s:               float = seconds(1, 0.001, 3600, "queued longer than this: newcomers spill on")
    pick_tolerance:             float = decimal(1.5, 1, 100, "of two equals, so much more load loses the part")
    hysteresis:                 float = decimal(0.05, 0, 1, "better by this much before traffic returns")
    hold_s:                     float = seconds(5, 0, 3600, "and for so long")
    plan_ttl_s:                 float = seconds(0.1, 0.001, 60, "a decision's table is recomputed this often")

    # -- lanes and holds -----------------------------------------------------------------------------------------------
    lane_floor_share:           float = decimal(0.05, 0, 0.25, "of what leaves, for each lane that waits below others")
    destination_hold_s:         float = seconds(5, 0.01, 3600, "a handset's queue is full; then twice that, and so on")
    destination_hold_max_s:     float = seconds(300, 0.01, DAY, "the longest; a phone that is off is asked so often")
    destination_holds_max:      int   = count(10_000, 1, 1_000_000, "held at one carrier; the oldest is let go")

    # -- congestion is not death ---------------------------------------------------------------------------------------
    throttle_pause_s:           float = seconds(0.1, 0, 600, "after ESME_RTHROTTLED; doubles in a row. Kannel: 1 s")
    throttle_pause_max_s:       float = seconds(5, 0.01, 3600, "throttled again and again; one part asks after each")
    crowding_hold_s:           float = seconds(30, 0.1, 3600, "a smaller window made no answer quicker: not again for")
    throttle_judge_s:           float = seconds(1, 0.01, 60, "a few in a hundred throttled: one cut in so long")
    pace_cut_share:             float = decimal(0.85, 0.01, 1, "pace and window times this, once a round trip")
    pace_floor_share:           float = decimal(0.05, 0.001, 1, "never below this share of the contract")
    pace_recovery_s:            float = seconds(20, 0.1, 3600, "from the floor back to the contract")
    pace_knee_share:            float = decimal(0.95, 0.01, 1, "of the pace that was too much: from here grow slowly")
    pace_caution:               float = decimal(10, 1, 1000, "so many times slower beyond the knee")
    congested_share:            float = decimal(0.25, 0.001, 1, "of a window is answered queue full: cut")
    congestion_aim:             int   = count(85, 1, 99, "v5 congestion_state: 80..89 is the optimum")
    congestion_cut:             int   = count(90, 1, 100, "from here on slow down")
    congestion_stop:            int   = count(100, 1, 100, "here stop for throttle_pause")

    # -- people and machines that look ---------------------------------------------------------------------------------
    control_request_octets_max: int   = octets(65_536, 256, 1 << 24, "one JSON line")
    control_links_max:          int   = count(16, 1, 1000, "people and probes at once")
    http_request_octets_max:    int   = octets(16_384, 256, 1 << 24, "request line and headers")
    http_links_max:             int   = count(32, 1, 1000, "scrapers and browsers at once")
    look_timeout_s:             float = seconds(5, 0.1, 600, "control and http: a request takes no longer")
# fmt: on

# These hold before the first file is read, so no file can change them.
FILE_OCTETS_MAX: Final = 32 << 20  # some 400,000 lines of routes
NETWORK_FILE_OCTETS_MAX: Final = 256 << 20  # of one network's file: a country's whole number portability
NETWORK_PREFIXES_MAX: Final = 5_000_000  # of one network; each takes some 110 octets of memory
BAD_LINES_TOLD: Final = 20  # of one network's file
NESTING_MAX: Final = 12  # our deepest value stands 7 deep
ERRORS_MAX: Final = 200  # told at once; nobody reads more
SECRET_OCTETS_MAX: Final = 64  # SMPP 3.4 allows 8 (5.2.2); peers that send more exist
CONTROL_PATH_OCTETS_MAX: Final = 107  # sockaddr_un.sun_path, less its NUL
