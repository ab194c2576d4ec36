"""Jobs: what people asked for, how far it is, and what became of each record."""

from __future__ import annotations

import streamlit as st

from dashboard.jobs.table import choose_job, draw_job, watch_jobs
from dashboard.shared.asking import refusal, show_notice
from dashboard.shared.exports import table_downloads
from dashboard.shared.refreshing import watch, whole_page
from dashboard.shared.shell import begin_page

begin_page("Jobs", ":material/checklist:")
show_notice()
with whole_page():
    if refused := refusal():
        st.info(refused, icon=":material/lock:")
    listing, detail = st.container(), st.container()
    # The choice first: the live part tells from it whether the page is up to date.
    with detail:
        job = choose_job()
        if job is not None:
            with st.container(border=True):
                draw_job(job)
            table_downloads("jobs", None, key="jobs_downloads")
    with listing:
        watch(watch_jobs)
