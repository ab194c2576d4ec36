"""Dead letters: what failed and why, and the way back for it."""

from __future__ import annotations

import streamlit as st

from dashboard.dead_letters.actions import draw_actions, draw_last_job, watch_letters
from dashboard.dead_letters.detail import draw_detail
from dashboard.dead_letters.facets import draw_facets
from dashboard.dead_letters.group_dialog import draw_group_bar, draw_group_dialog
from dashboard.dead_letters.groups import groups_card
from dashboard.dead_letters.payload_columns import chosen_paths, draw_column_choice, payload_columns
from dashboard.dead_letters.payloads import ask_for_schemas, payload_export
from dashboard.dead_letters.query_box import query_card
from dashboard.dead_letters.replay_dialog import draw_replay_dialog, replay_is_proposed
from dashboard.dead_letters.table import draw_pages, draw_table, selected_ids, take_snapshot
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.context import now_ms, reader
from dashboard.shared.exports import table_downloads
from dashboard.shared.formats import plain
from dashboard.shared.refreshing import watch, whole_page
from dashboard.shared.shell import begin_page

begin_page("Dead letters", ":material/mark_email_unread:")
show_notice()
with whole_page():
    if refused := refusal():
        st.info(refused, icon=":material/lock:")
    groups = reader().groups(now_ms())
    if groups.rows:
        groups_card(groups)
    which = query_card()
    if which is None:
        # What somebody selected before is not what the box asks for now.
        st.stop()
    if len(chosen := which.query.chosen("group")) == 1:
        draw_group_bar(chosen[0])
    snapshot = take_snapshot(which)
    draw_facets(which.query, snapshot.facets)
    paths = chosen_paths()
    with st.container(border=True):
        watch(watch_letters)
        draw_actions(snapshot)
        if snapshot.rows:
            draw_table(snapshot, payload_columns(snapshot.ids, paths))
            draw_pages(snapshot)
        if snapshot.found.cut:
            st.caption(f":material/content_cut: {plain(snapshot.found.cut)}")
        if not snapshot.rows:
            st.caption("No dead letter matches." if groups.rows else "No dead letters: nothing has failed for good.")
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
    if len(selected := selected_ids()) == 1:
        draw_detail(selected[0])
    ask_for_schemas()
    draw_replay_dialog()
    if not replay_is_proposed():
        draw_group_dialog()
