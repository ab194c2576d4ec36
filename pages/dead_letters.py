"""Dead letters: what failed and why, and the way back for it."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.actions import draw_actions, draw_last_job, watch_letters
from dashboard.dead_letters.detail import draw_detail
from dashboard.dead_letters.filters import filter_card, groups_card
from dashboard.dead_letters.payload_columns import chosen_paths, draw_column_choice, payload_columns
from dashboard.dead_letters.payloads import ask_for_schemas, note_schemas, payload_export
from dashboard.dead_letters.replay_dialog import draw_replay_dialog
from dashboard.dead_letters.table import draw_pages, draw_table, selected_ids, take_snapshot
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.context import reader
from dashboard.shared.exports import table_downloads
from dashboard.shared.refreshing import watch, whole_page
from dashboard.shared.shell import begin_page

begin_page("Dead letters", ":material/mark_email_unread:")
show_notice()
with whole_page():
    if refused := refusal():
        st.info(refused, icon=":material/lock:")
    note_schemas()
    groups = reader().groups()
    # What may be missing has a place all the same: what stands below it would else be there twice while it moves.
    with st.container():
        if groups.rows:
            groups_card(groups)
    which = filter_card(groups)
    snapshot = take_snapshot(which)
    paths = chosen_paths()
    with st.container(border=True):
        live_part = st.container()
        draw_actions(snapshot)
        with st.container():
            if snapshot.rows:
                draw_table(snapshot, payload_columns(snapshot.ids, paths))
                draw_pages(snapshot)
            else:
                st.caption(
                    "No dead letter matches." if groups.rows else "No dead letters: nothing has failed for good."
                )
        with st.container(horizontal=True, vertical_alignment="center"):
            if snapshot.rows:
                draw_column_choice(snapshot.ids)
                export = payload_export(paths)
                table_downloads("dead_letters", which, key="letters_downloads", count=snapshot.count, payload=export)
            draw_last_job()
    if len(selected := selected_ids()) == 1:
        draw_detail(selected[0])
    ask_for_schemas()
    draw_replay_dialog()
    with live_part:
        watch(watch_letters)
