"""How the pipeline does: its roles, how far they have read, what waits, and what an operator should know of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.pipeline.held import draw_held
from dashboard.shared.asking import refusal, requested_by, show_notice, tell
from dashboard.shared.configuration import settings
from dashboard.shared.context import now_ms, shown_errors, writer
from dashboard.shared.formats import ago, number, per_second, plain, size
from dashboard.shared.mapping import mapping
from dashboard.shared.snapshots import snapshots
from dashboard.shared.tables import draw_table, number_column, positions, text_column, time_column
from pipeline.buffer import HeldTopic, Reader, StoppedTopic
from pipeline.buffer.views import Rows
from pipeline.consuming.topic_choice import topics_read
from pipeline.errors import KafkaUnavailableError, OrderPulseError
from pipeline.jobs.requests import resume_reading
from pipeline.kafka import find_cluster
from pipeline.running.statusboard import RoleStatus, read_roles
from pipeline.watching.alerts import disk_used

ROWS_SHOWN = 100
CARD_WIDTH = 150
ROLE_WIDTH = 232
KEY_SHOWN = 60
GONE_SHOWN = 5
_ROWS_HIGH = 8
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

    def number(self, name: str) -> float | None:
        """One of its own figures; None where it does not tell."""
        value = self.status.figures.get(name) if self.status else None
        return None if value is None else float(value)

    def text(self, name: str) -> str:
        """One of its own words; empty where it does not tell."""
        return str((self.status.figures.get(name) if self.status else None) or "")

    def lags(self) -> list[PartitionLag]:
        """How far it has read each of its partitions; none where it does not tell."""
        partitions = (self.status.figures.get("partitions") if self.status else None) or {}
        return [
            PartitionLag(partition, self.name, figures["next_offset"], figures["lag"])
            for partition, figures in partitions.items()
        ]


class PartitionLag(NamedTuple):
    """A partition as `orders[0]`, and how far its reader is."""

    partition: str
    processor: str
    next_offset: int
    lag: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the buffer holds that is still on its way, and what it knows of the topics."""

    parked: int
    outbox: int
    parked_rows: Rows
    gone: Rows
    """Of partitions that nobody reads: topic, partition, parked, outbox."""
    partitions: Rows
    passed_over: Rows
    """Records that are no orders, by topic: topic, records."""
    events: Rows
    file_bytes: int
    stopped: list[StoppedTopic]
    held: list[HeldTopic]


@dataclass(frozen=True, slots=True)
class Containers:
    """Where the live part draws; made outside of it, so that exports can stand beside."""

    top: DeltaGenerator
    lag: DeltaGenerator
    parked: DeltaGenerator
    events: DeltaGenerator
    read: DeltaGenerator

    def all(self) -> tuple[DeltaGenerator, ...]:
        """All of them."""
        return (self.top, self.lag, self.parked, self.events, self.read)


def draw_state(containers: Containers) -> None:
    """Everything that moves. The roles are shown without a buffer too: they say what is wrong with it."""
    now = now_ms()
    roles = role_views(read_roles(settings().data_dir), now)
    waiting: Waiting | None = None
    with containers.top:
        _draw_trouble(roles, now)
        _draw_disk()
        _draw_cluster(roles)
        with shown_errors():
            waiting = snapshots().get("pipeline", _ask)
        if waiting is not None:
            draw_held(waiting.held, now)
            _draw_stopped(waiting.stopped, now)
        _draw_figures(roles, waiting)
        _draw_roles(roles, now)
    with containers.lag:
        _draw_lag(roles)
    draw_waiting = (
        (containers.parked, _draw_parked),
        (containers.events, _draw_events),
        (containers.read, _draw_partitions),
    )
    for container, draw in draw_waiting:
        with container:
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
        source.waiting_of_gone_partitions(topics_read(settings(), source)),
        source.partitions(),
        source.passed_over(),
        source.events(ROWS_SHOWN),
        source.file_bytes(),
        source.stopped(),
        source.held(),
    )


# -- what must be seen at once


def _draw_trouble(roles: list[RoleView], now: int) -> None:
    for role in roles:
        if role.state == "silent" and role.status:
            st.error(
                f"**{plain(role.name)}** is silent, its last word was {ago(role.status.heartbeat_at_ms, now)}.",
                icon=":material/heart_broken:",
            )
        elif role.state == "failing":
            st.error(f"**{plain(role.name)}** fails: {plain(role.detail)}", icon=":material/error:")
        elif role.state == "waiting":
            st.warning(f"**{plain(role.name)}** waits: {plain(role.detail)}", icon=":material/hourglass_top:")
    for problem in sorted({error for role in roles if (error := role.text("rules_error"))}):
        st.error(
            f"The rules file is refused, the rules before it stay: {plain(problem)}", icon=":material/rule_settings:"
        )

    refused = {error for role in roles if (error := role.text("mapping_error"))} | {mapping().error}
    for problem in sorted(filter(None, refused)):
        st.error(
            f"The mapping file is refused, the mapping before it stays: {plain(problem)}",
            icon=":material/rule_settings:",
        )


def _draw_stopped(stopped: list[StoppedTopic], now: int) -> None:
    for each in stopped:
        st.error(
            f"{plain(str(each))}, since {ago(each.stopped_at_ms, now)}. Put right what fails, then let it go on.",
            icon=":material/front_hand:",
        )
    if stopped:
        refused = refusal()
        st.button(
            "Go on reading",
            icon=":material/play_arrow:",
            key="pipeline_resume",
            disabled=refused is not None,
            help=refused,
            on_click=_resume,
        )
    show_notice()


def _resume() -> None:
    try:
        with writer() as buffer:
            resume_reading(settings(), buffer, now_ms, requested_by())
    except OrderPulseError as error:
        tell(str(error))


def _draw_disk() -> None:
    used, free_bytes = disk_used(settings())
    if used >= settings().alert_disk_share:
        st.error(
            f"The disk of the buffer is {used:.1%} full, {size(free_bytes)} are left. When it is full, the flow waits.",
            icon=":material/hard_drive:",
        )


def _draw_cluster(roles: list[RoleView]) -> None:
    try:
        where = f"at {plain(find_cluster(settings()).bootstrap_servers)}"
    except KafkaUnavailableError:
        where = "is not running"
    kind = ":green-badge[:material/science: Demo cluster]" if settings().demo else ":blue-badge[:material/hub: Kafka]"
    parts = [
        f"{kind} {where}",
        f"orders from {plain(str(settings().orders_topics))}",
        f"group {plain(settings().group_id)}",
        f"schemas from {'registry ' if settings().schema_registry_url else ''}{plain(settings().schemas_from)}",
    ]
    # More than one for a moment, while the processors notice a changed file one after the other.
    versions = sorted({version for role in roles if (version := role.text("rules_version"))})
    if versions:
        parts.append("rules " + plain(", ".join(versions)))
    versions = sorted({version for role in roles if (version := role.text("mapping_version"))})
    if versions:
        parts.append("mapping " + plain(", ".join(versions)))
    floats = sorted({topics for role in roles if (topics := role.text("mapping_floats"))})
    if floats:
        parts.append(f"prices of {plain(', '.join(floats))} are rounded floats")
    st.markdown(" · ".join(parts))


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
    parts = [
        value
        for view in roles
        if view.status and view.status.role == role and view.speaks and (value := view.number(figure)) is not None
    ]
    return sum(parts) if parts else None


def _whole(value: float | None) -> str:
    return "–" if value is None else number(int(value))


def _draw_roles(roles: list[RoleView], now: int) -> None:
    with st.container(horizontal=True, key="pipeline_roles"):
        for role in roles:
            with st.container(border=True, width=ROLE_WIDTH, height="stretch"):
                st.markdown(_role_text(role, now))


def _role_text(role: RoleView, now: int) -> str:
    color, icon = _BADGES[role.state]
    lines = [f"**{plain(role.name)}** :{color}-badge[{icon} {role.state}]"]
    if role.status:
        parts = [f"heard {ago(role.status.heartbeat_at_ms, now)}"]
        if (lag := role.number("lag")) is not None:
            parts.append(f"lag {_whole(lag)}")
        if (rate := role.number("rate_per_s")) is not None:
            parts.append(per_second(rate))
        if job := role.text("job"):
            parts.append(f"job {plain(job)}")
        lines.append(f":small[:gray[{' · '.join(parts)}]]")
    if role.detail:
        lines.append(f":small[{plain(role.detail)}]")
    return "  \n".join(lines)


# -- the tables


def _draw_lag(roles: list[RoleView]) -> None:
    lags = sorted(lag for role in roles if role.speaks for lag in role.lags())
    if not lags:
        st.caption("No processor has a partition.")
        return
    columns = [
        text_column("partition", "Partition", [each.partition for each in lags]),
        text_column("processor", "Processor", [each.processor for each in lags]),
        number_column("next_offset", "Next offset", [each.next_offset for each in lags], number_format="localized"),
        number_column("lag", "Lag", [each.lag for each in lags], number_format="localized"),
    ]
    draw_table("pipeline_lag", columns, _ROWS_HIGH, nothing=None)


def _draw_gone(rows: Rows) -> None:
    """What waits and follows no assignment; a processor adopts it."""
    for topic, partition, parked, outbox in rows.rows[:GONE_SHOWN]:
        st.caption(
            f"Of partitions that are gone: {plain(f'{topic}[{partition}]')}, {number(parked)} parked, "
            f"{number(outbox)} in the outbox."
        )
    if len(rows.rows) > GONE_SHOWN:
        st.caption(f"And of {number(len(rows.rows) - GONE_SHOWN)} more.")


def _draw_parked(waiting: Waiting, now: int) -> None:
    _draw_gone(waiting.gone)
    rows = waiting.parked_rows
    if not rows.rows:
        st.caption(rows.cut or "Nothing waits for a retry.")
        return
    columns = [
        text_column("position", "Position", positions(rows)),
        text_column("key", "Key", [_key(key) for key in rows.column("key")]),
        number_column("attempts", "Attempts", rows.column("attempts"), "small"),
        text_column(
            "due",
            "Due in",
            [_due(due_at_ms, now) for due_at_ms in rows.column("due_at_ms")],
            "small",
            "`waits`: an earlier record of the same key goes first.",
        ),
        text_column("reason", "Reason", rows.column("reason"), "large"),
    ]
    draw_table("pipeline_parked", columns, _ROWS_HIGH, nothing=None)
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
    columns = [
        time_column("at", "Time", rows.column("at_ms")),
        text_column("level", "Level", rows.column("level"), "small"),
        text_column("role", "Role", rows.column("role"), "small"),
        text_column("message", "Message", rows.column("message"), "large"),
    ]
    draw_table("pipeline_events", columns, _ROWS_HIGH, nothing=None)


def _draw_partitions(waiting: Waiting, now: int) -> None:
    rows = waiting.partitions
    if not rows.rows:
        st.caption(rows.cut or "Nothing has been read yet.")
        return
    columns = [
        text_column("role", "Role", rows.column("role")),
        text_column("topic", "Topic", rows.column("topic")),
        number_column("partition", "Partition", rows.column("partition"), "small"),
        text_column(
            "generation",
            "Generation",
            _generations(_identities(rows)),
            "small",
            "A wiped cluster, a recreated topic or one that is read again begins another one.",
        ),
        number_column("next_offset", "Next offset", rows.column("next_offset"), number_format="localized"),
        time_column("first_seen", "First seen", rows.column("first_seen_ms")),
        text_column("cluster", "Cluster", rows.column("cluster_id")),
    ]
    draw_table("pipeline_places", columns, _ROWS_HIGH, nothing=None)
    if rows.cut:
        st.caption(rows.cut)
    passed = waiting.passed_over
    if passed.rows:
        st.caption("Passed over, as the mapping file says that these are no orders:")
        columns = [
            text_column("topic", "Topic", passed.column("topic")),
            number_column("records", "Records", passed.column("records"), number_format="localized"),
        ]
        draw_table("pipeline_passed_over", columns, _ROWS_HIGH)


class _Identity(NamedTuple):
    """A topic's identity, sorted by the time at which it was first seen."""

    topic: str
    first_seen_ms: int
    cluster_id: str
    topic_id: str
    reading: int


def _identities(rows: Rows) -> list[_Identity]:
    columns = (rows.column(name) for name in _Identity._fields)
    return [_Identity(*cells) for cells in zip(*columns, strict=True)]


def _generations(identities: list[_Identity]) -> list[str]:
    """Of each topic identity which of its topic's it is, as `2 of 3`, counted by the time it was first seen."""
    known = {topic: list(of_topic) for topic, of_topic in groupby(sorted(set(identities)), key=attrgetter("topic"))}
    return [f"{known[each.topic].index(each) + 1} of {len(known[each.topic])}" for each in identities]
