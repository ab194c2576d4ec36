"""Dead letters: what failed and why, and the way back for it."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.actions import draw_actions, draw_last_job, watch_letters
from dashboard.dead_letters.columns_shown import table_choice
from dashboard.dead_letters.drawer import draw_drawer
from dashboard.dead_letters.facets import draw_facets, draw_statuses
from dashboard.dead_letters.group_dialog import draw_group_dialog, draw_group_popover, group_is_open
from dashboard.dead_letters.groups import draw_groups, groups_popover
from dashboard.dead_letters.keyboard import is_narrow
from dashboard.dead_letters.moves import follow_address
from dashboard.dead_letters.opened import note_opened_in_address, opened_id
from dashboard.dead_letters.payload_columns import chosen_paths, draw_column_choice, payload_columns
from dashboard.dead_letters.payloads import ask_for_schemas, note_schemas, payload_export
from dashboard.dead_letters.query_box import query_box
from dashboard.dead_letters.replay_dialog import draw_replay_dialog, replay_is_proposed
from dashboard.dead_letters.table import draw_how_far, draw_pages, draw_table, note_page_in_address, take_snapshot
from dashboard.dead_letters.triage import discard_is_proposed, draw_discard_dialog
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.context import now_ms, reader
from dashboard.shared.exports import table_downloads
from dashboard.shared.refreshing import watch, whole_page
from dashboard.shared.shell import begin_page
from pipeline.buffer import DeadLetterFilter

beside_title = begin_page("Dead letters", ":material/mark_email_unread:")


def draw_letters(which: DeadLetterFilter) -> None:
    """All that a query means, and what is open of it."""
    note_schemas()
    snapshot = take_snapshot(which)
    groups = reader().groups(now_ms())
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            draw_statuses()
            draw_facets(which.query, snapshot.facets)
            if groups.rows and is_narrow():
                with groups_popover():
                    draw_groups(groups, which.query)
            # The last in its line: what stands below stays where it is when a group is chosen.
            if len(chosen := which.query.chosen("group")) == 1:
                draw_group_popover(chosen[0])
        # Below a narrow window's thumb, else above the table.
        with st.bottom if is_narrow() else st.container():
            draw_actions(snapshot)
        left, right = (None, st.container()) if is_narrow() else st.columns([24, 76])
    if left is not None and groups.rows:
        with left, st.container(gap="xsmall"):
            draw_groups(groups, which.query)
    with right, st.container(gap="xsmall"):
        live_part = st.container()
        paths = chosen_paths()
        # What may be missing has a place all the same: what stands below it would else be there twice while it moves.
        with st.container():
            if snapshot.rows:
                draw_table(snapshot, table_choice(), payload_columns(snapshot.ids, paths))
                draw_pages(snapshot)
            draw_how_far(snapshot.found)
            if not snapshot.rows:
                st.caption(
                    "No dead letter matches." if groups.rows else "No dead letters: nothing has failed for good."
                )
        with st.container(horizontal=True, vertical_alignment="center"):
            if snapshot.rows:
                draw_column_choice(snapshot.ids)
                export = payload_export(paths)
                table_downloads(
                    "dead_letters",
                    which.settled(snapshot.found.ids),
                    key="letters_downloads",
                    count=snapshot.found.count,
                    payload=export,
                )
            draw_last_job()
    note_page_in_address(snapshot.view)
    note_opened_in_address()
    # One at a time: a question about what is open comes before it, and it is there again behind the answer.
    if replay_is_proposed():
        draw_replay_dialog()
    elif discard_is_proposed():
        draw_discard_dialog()
    elif group_is_open():
        draw_group_dialog()
    elif opened_id() is not None:
        draw_drawer()
    # What was drawn tells what is wanted.
    ask_for_schemas()
    with live_part:
        watch(watch_letters)


show_notice()
with whole_page():
    follow_address()
    if refused := refusal():
        st.caption(f":material/lock: {refused}")
    with beside_title:
        meant = query_box()
    # What somebody selected before is not what a box asks for that holds no query.
    if meant is not None:
        draw_letters(meant)
