"""How the pipeline does: its roles, how far they have read, what waits, and what an operator should know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, shown_errors, viewer_zone
from dashboard.shared.formats import ago, number, per_second, plain, size
from dashboard.shared.snapshots import snapshots
from pipeline.buffer import Reader
from pipeline.buffer.views import Rows
from pipeline.errors import KafkaUnavailableError
from pipeline.kafka import find_cluster
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.watching.alerts import disk_used

ROWS_SHOWN = 100
CARD_WIDTH = 150
ROLE_WIDTH = 232
KEY_SHOWN = 60
_ROWS_HIGH = 8
_ROW_PIXELS = 35
_BADGES = {
    "running": ("green", ":material/check_circle:"),
    "starting": ("blue", ":material/progress_activity:"),
    "waiting": ("orange", ":material/hourglass_top:"),
    "failing": ("red", ":material/error:"),
    "silent": ("red", ":material/heart_broken:"),
    "stopped": ("gray", ":material/stop_circle:"),
    "not started": ("gray", ":material/radio_button_unchecked:"),
}


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role as people see it; `status` None: it never spoke in this data folder."""

    name: str
    state: str
    status: RoleStatus | None

    @property
    def detail(self) -> str:
        """What it waits for; empty when all is well."""
        return self.status.detail if self.status else ""

    @property
    def speaks(self) -> bool:
        """Whether what it last said still holds."""
        return self.state not in ("silent", "stopped", "not started")

    def figure(self, name: str) -> Any:
        """One of its own numbers, None where it does not tell."""
        return self.status.figures.get(name) if self.status else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the buffer holds that is still on its way, and what it knows of the topics."""

    parked: int
    outbox: int
    parked_rows: Rows
    places: Rows
    events: Rows
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where the live part draws; made outside of it, so that exports can stand beside."""

    top: DeltaGenerator
    lag: DeltaGenerator
    parked: DeltaGenerator
    events: DeltaGenerator
    read: DeltaGenerator

    def all(self) -> tuple[DeltaGenerator, ...]:
        """Every place."""
        return (self.top, self.lag, self.parked, self.events, self.read)


def draw_state(places: Places) -> None:
    """Everything that moves. The roles are shown without a buffer too: they say what is wrong with it."""
    now = now_ms()
    roles = role_views(read_roles(settings().data_dir), now)
    waiting: Waiting | None = None
    with places.top:
        _draw_trouble(roles, now)
        _draw_disk()
        _draw_cluster(roles)
        with shown_errors():
            waiting = snapshots().get("pipeline", _ask)
        _draw_figures(roles, waiting)
        _draw_roles(roles, now)
    with places.lag:
        _draw_lag(roles)
    draw_waiting = ((places.parked, _draw_parked), (places.events, _draw_events), (places.read, _draw_places))
    for place, draw in draw_waiting:
        with place:
            if waiting is None:
                st.caption("Not known.")
            else:
                draw(waiting, now)


def role_views(statuses: list[RoleStatus], now: int) -> list[RoleView]:
    """All roles that spoke, and those that should have."""
    views = [
        RoleView(f"{each.role}-{each.instance}", "silent" if each.silent(now) else each.state, each)
        for each in statuses
    ]
    spoke = {each.role for each in statuses}
    expected = (*(("broker",) if settings().demo else ()), *settings().roles)
    return [RoleView(role, "not started", None) for role in expected if role not in spoke] + views


def _ask(source: Reader) -> Waiting:
    return Waiting(
        source.parked_count(),
        source.outbox_count(),
        source.parked(ROWS_SHOWN),
        source.partitions(),
        source.events(ROWS_SHOWN),
        source.file_bytes(),
    )


# -- what must be seen at once


def _draw_trouble(roles: list[RoleView], now: int) -> None:
    for role in roles:
        if role.state == "silent" and role.status:
            st.error(
                f"**{role.name}** is silent, its last word was {ago(role.status.heartbeat_at_ms, now)}.",
                icon=":material/heart_broken:",
            )
        elif role.state == "failing":
            st.error(f"**{role.name}** fails: {plain(role.detail)}", icon=":material/error:")
        elif role.state == "waiting":
            st.warning(f"**{role.name}** waits: {plain(role.detail)}", icon=":material/hourglass_top:")
    for problem in sorted({str(error) for role in roles if (error := role.figure("rules_error"))}):
        st.error(
            f"The rules file is refused, the rules before it stay: {plain(problem)}", icon=":material/rule_settings:"
        )


def _draw_disk() -> None:
    used, free_bytes = disk_used(settings())
    if used >= settings().alert_disk_share:
        st.error(
            f"The disk of the buffer is {used:.1%} full, {size(free_bytes)} are left. When it is full, the flow waits.",
            icon=":material/hard_drive:",
        )


def _draw_cluster(roles: list[RoleView]) -> None:
    try:
        place = f"at `{find_cluster(settings()).bootstrap_servers}`"
    except KafkaUnavailableError:
        place = "is not running"
    kind = ":green-badge[:material/science: Demo cluster]" if settings().demo else ":blue-badge[:material/hub: Kafka]"
    told = [
        f"{kind} {place}",
        f"orders from `{settings().orders_topic}`",
        f"group `{settings().group_id}`",
        f"schemas from {'registry ' if settings().schema_registry_url else ''}`{settings().schemas_from}`",
    ]
    # More than one for a moment, while the processors notice a changed file one after the other.
    versions = sorted({str(version) for role in roles if (version := role.figure("rules_version"))})
    if versions:
        told.append("rules " + ", ".join(f"`{version}`" for version in versions))
    st.markdown(" · ".join(told))


def _draw_figures(roles: list[RoleView], waiting: Waiting | None) -> None:
    parked = outbox = file_size = "–"
    if waiting is not None:
        parked, outbox, file_size = number(waiting.parked), number(waiting.outbox), size(waiting.file_bytes)
    rate = _sum(roles, "processor", "rate_per_s")
    with st.container(horizontal=True, key="pipeline_figures"):
        _card("Throughput", "–" if rate is None else per_second(rate), "Records a second that the processors take.")
        _card("Lag", _whole(_sum(roles, "processor", "lag")), "Orders in Kafka that no processor has read yet.")
        _card("Dead-letter lag", _whole(_sum(roles, "collector", "lag")), "Dead letters in Kafka, not collected yet.")
        _card("Parked", parked, "Records that wait for a retry, or behind one of the same key.")
        _card("Outbox", outbox, "Failed records on their way to the dead-letter topic.")
        _card("Buffer", file_size, f"{plain(str(settings().database_file))} with its write-ahead log.")


def _card(label: str, value: str, explanation: str) -> None:
    st.metric(label, value, border=True, help=explanation, width=CARD_WIDTH)


def _sum(roles: list[RoleView], role: str, figure: str) -> float | None:
    """Over all instances of a role that speak; None when none of them tells."""
    told = [
        float(value)
        for view in roles
        if view.status and view.status.role == role and view.speaks and (value := view.figure(figure)) is not None
    ]
    return sum(told) if told else None


def _whole(value: float | None) -> str:
    return "–" if value is None else number(int(value))


def _draw_roles(roles: list[RoleView], now: int) -> None:
    with st.container(horizontal=True, key="pipeline_roles"):
        for role in roles:
            with st.container(border=True, width=ROLE_WIDTH, height="stretch"):
                st.markdown(_role_text(role, now))


def _role_text(role: RoleView, now: int) -> str:
    color, icon = _BADGES[role.state]
    lines = [f"**{role.name}** :{color}-badge[{icon} {role.state}]"]
    if role.status:
        told = [f"heard {ago(role.status.heartbeat_at_ms, now)}"]
        if role.figure("lag") is not None:
            told.append(f"lag {number(int(role.figure('lag')))}")
        if role.figure("rate_per_s") is not None:
            told.append(per_second(float(role.figure("rate_per_s"))))
        if role.figure("job") is not None:
            told.append(f"job {role.figure('job')}")
        lines.append(f":small[:gray[{' · '.join(told)}]]")
    if role.detail:
        lines.append(f":small[{plain(role.detail)}]")
    return "  \n".join(lines)


# -- the tables


def _draw_lag(roles: list[RoleView]) -> None:
    told = [
        (partition, role.name, figures["next_offset"], figures["lag"])
        for role in roles
        if role.speaks
        for partition, figures in (role.figure("partitions") or {}).items()
    ]
    if not told:
        st.caption("No processor has a partition.")
        return
    names, readers, offsets, lags = zip(*sorted(told), strict=True)
    _draw_table(
        "pipeline_lag",
        pa.table({"partition": names, "processor": readers, "next_offset": offsets, "lag": lags}),
        {
            "partition": "Partition",
            "processor": "Processor",
            "next_offset": st.column_config.NumberColumn("Next offset", format="localized"),
            "lag": st.column_config.NumberColumn("Lag", format="localized"),
        },
    )


def _draw_parked(waiting: Waiting, now: int) -> None:
    rows = waiting.parked_rows
    if not rows.rows:
        st.caption(rows.cut or "Nothing waits for a retry.")
        return
    places = zip(rows.column("topic"), rows.column("partition"), rows.column("offset"), strict=True)
    _draw_table(
        "pipeline_parked",
        pa.table(
            {
                "position": [f"{topic}[{partition}] offset {offset}" for topic, partition, offset in places],
                "key": [_key(key) for key in rows.column("key")],
                "attempts": rows.column("attempts"),
                "due": [_due(due_at_ms, now) for due_at_ms in rows.column("due_at_ms")],
                "reason": pa.array(rows.column("reason"), pa.string()),
            }
        ),
        {
            "position": "Position",
            "key": "Key",
            "attempts": st.column_config.NumberColumn("Attempts", width="small"),
            "due": st.column_config.TextColumn(
                "Due in", help="`waits`: an earlier record of the same key goes first.", width="small"
            ),
            "reason": st.column_config.TextColumn("Reason", width="large"),
        },
    )
    if waiting.parked > len(rows.rows):
        st.caption(f"The {len(rows.rows)} that are due first, of {number(waiting.parked)}.")


def _due(due_at_ms: int | None, now: int) -> str:
    if due_at_ms is None:
        return "waits"
    return f"{(due_at_ms - now) / 1000:,.0f} s" if due_at_ms > now else "now"


def _key(key: bytes | None) -> str | None:
    if key is None:
        return None
    try:
        return key.decode()[:KEY_SHOWN]
    except UnicodeDecodeError:
        return f"0x{key[:KEY_SHOWN].hex()}"


def _draw_events(waiting: Waiting, now: int) -> None:
    rows = waiting.events
    if not rows.rows:
        st.caption(rows.cut or "Nothing has happened that an operator should know of.")
        return
    _draw_table(
        "pipeline_events",
        pa.table(
            {
                "at": pa.array(rows.column("at_ms"), pa.timestamp("ms", "UTC")),
                "level": rows.column("level"),
                "role": rows.column("role"),
                "message": rows.column("message"),
            }
        ),
        {
            "at": _time_column("Time"),
            "level": st.column_config.TextColumn("Level", width="small"),
            "role": st.column_config.TextColumn("Role", width="small"),
            "message": st.column_config.TextColumn("Message", width="large"),
        },
    )


def _draw_places(waiting: Waiting, now: int) -> None:
    rows = waiting.places
    if not rows.rows:
        st.caption(rows.cut or "Nothing has been read yet.")
        return
    generations = _generations(rows)
    _draw_table(
        "pipeline_places",
        pa.table(
            {
                "role": rows.column("role"),
                "topic": rows.column("topic"),
                "partition": rows.column("partition"),
                "generation": [generations[identity] for identity in _identities(rows)],
                "next_offset": rows.column("next_offset"),
                "first_seen": pa.array(rows.column("first_seen_ms"), pa.timestamp("ms", "UTC")),
                "cluster": rows.column("cluster_id"),
            }
        ),
        {
            "role": "Role",
            "topic": "Topic",
            "partition": st.column_config.NumberColumn("Partition", width="small"),
            "generation": st.column_config.TextColumn(
                "Generation", help="A wiped cluster or a topic made anew begins another one.", width="small"
            ),
            "next_offset": st.column_config.NumberColumn("Next offset", format="localized"),
            "first_seen": _time_column("First seen"),
            "cluster": "Cluster",
        },
    )
    if rows.cut:
        st.caption(rows.cut)


def _identities(rows: Rows) -> list[tuple[str, int, str, str]]:
    columns = (rows.column(name) for name in ("topic", "first_seen_ms", "cluster_id", "topic_id"))
    return list(zip(*columns, strict=True))


def _generations(rows: Rows) -> dict[tuple[str, int, str, str], str]:
    """Each topic identity as `2 of 3`, counted by the time at which it was first seen."""
    known: dict[str, list[tuple[str, int, str, str]]] = {}
    for identity in sorted(set(_identities(rows))):
        known.setdefault(identity[0], []).append(identity)
    return {
        identity: f"{index} of {len(identities)}"
        for identities in known.values()
        for index, identity in enumerate(identities, 1)
    }


def _draw_table(key: str, table: pa.Table, columns: dict[str, Any]) -> None:
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        height=_ROW_PIXELS * (min(table.num_rows, _ROWS_HIGH) + 1) + 2,
        column_config=columns,
    )


def _time_column(label: str) -> Any:
    return st.column_config.DatetimeColumn(label, format="YYYY-MM-DD HH:mm:ss", timezone=str(viewer_zone()))
