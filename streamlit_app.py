"""The app's entry. The server imports it once and serves `app`; every run of a page executes it as `__main__`: who may
enter, what is in the sidebar, which pages there are."""

from __future__ import annotations

import importlib
import sys
import threading
from contextlib import suppress

import streamlit as st

from dashboard.shared.disk_files import disk_files_route
from dashboard.shared.ending import end_in_order

DRAWS_THE_FIRST_PAGE = ("dashboard.shared.shell", "dashboard.shared.sidebar", "dashboard.overview.charts")


def run() -> None:
    """One run of the page that somebody looks at."""
    if sys.version_info < (3, 11):  # noqa: UP036 - who starts it on an older one must be told
        st.error(f"OrderPulse needs Python 3.11 or newer, this is {sys.version_info.major}.{sys.version_info.minor}")
        st.stop()

    from dashboard.shared.autostart import keep_pipeline_running
    from dashboard.shared.configuration import ICON, settings
    from dashboard.shared.formats import plain
    from pipeline.errors import SettingsError
    from pipeline.settings import prepare_data_dir
    from pipeline.version import VERSION

    st.set_page_config(
        page_title="OrderPulse",
        page_icon=str(ICON),
        layout="wide",
        menu_items={"About": f"OrderPulse {VERSION}: live order analytics and a dead-letter workbench for Kafka."},
    )
    try:
        prepare_data_dir(settings())
        keep_pipeline_running()
    except SettingsError as error:
        print(f"orderpulse: {error}", file=sys.stderr)  # noqa: T201 - who started the app looks at the console
        st.error(plain(str(error)), icon=":material/error:")
        st.stop()

    # The pipeline is starting meanwhile.
    from dashboard.shared.shell import end_page, enter, go_on_to_wanted_page
    from dashboard.shared.sidebar import sidebar

    enter()
    pages = [
        st.Page("pages/overview.py", title="Overview", icon=":material/monitoring:", default=True),
        st.Page("pages/orders.py", title="Orders", icon=":material/receipt_long:"),
        st.Page("pages/dead_letters.py", title="Dead letters", icon=":material/mark_email_unread:"),
        st.Page("pages/jobs.py", title="Jobs", icon=":material/checklist:"),
        st.Page("pages/pipeline.py", title="Pipeline", icon=":material/account_tree:"),
        st.Page("pages/connect.py", title="Connect", icon=":material/cable:"),
        st.Page("pages/alerts.py", title="Alerts", icon=":material/notifications:"),
    ]
    page = st.navigation(pages)
    go_on_to_wanted_page(pages)
    sidebar()
    page.run()
    end_page()


def get_ready() -> None:
    """Starts the pipeline and imports what draws the first page, while the first browser is on its way."""
    from dashboard.shared.autostart import keep_pipeline_running
    from dashboard.shared.configuration import settings
    from pipeline.errors import SettingsError
    from pipeline.settings import prepare_data_dir

    with suppress(SettingsError):  # whoever opens a page is told
        prepare_data_dir(settings())
        keep_pipeline_running()
    for name in DRAWS_THE_FIRST_PAGE:
        importlib.import_module(name)


if __name__ == "__main__":
    run()
else:
    end_in_order()
    threading.Thread(target=get_ready, name="get-ready", daemon=True).start()
    app = st.App(__file__, routes=[disk_files_route(st.get_option("server.baseUrlPath"))])
