"""Reads a topic again from a place that people name: what that changes, and the steps in which it is done.

The steps are the buffer's, each a short transaction. The worker does them, and so does whoever asked on the command
line; two that do them at the same time do no harm, and whoever comes after a crash goes on where it ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.buffer import Buffer, Cut, Generation, HeldTopic, Reader, RereadPlan, Span, TakenOrders, time_text
from pipeline.buffer.contract import Role
from pipeline.clock import Clock, Interval
from pipeline.consuming.generations import known_generation
from pipeline.consuming.topic_choice import choose_dead_letter_topics, may_hold_orders
from pipeline.crash_points import reached
from pipeline.errors import KafkaUnavailableError, UsageError
from pipeline.jobs.requests import of_other_clusters
from pipeline.kafka import DEMO_IDS, Cluster, ClusterView, find_cluster, offsets_since, watermarks_of
from pipeline.records import Currency, TopicIdentity
from pipeline.settings import Settings
from pipeline.starts import EARLIEST, LATEST

ASK_AGAIN_MS = 5000


@dataclass(frozen=True, slots=True)
class Change:
    """What a reread is to change, as people are asked to confirm it."""

    plan: RereadPlan
    taken: TakenOrders
    is_mirror: bool
    """Whether another cluster was read before, of whose records these may be copies."""
    currency: Currency

    def lines(self) -> list[str]:
        """The change in words."""
        topic, start = self.plan.identity.topic, self.plan.start
        records = sum(max(0, span.end - span.start) for span in self.plan.spans)
        where = time_text(int(start)) if start.isdigit() else start
        lines = [f"{topic} is read from {where} on: up to {records:,} records of {len(self.plan.spans)} partitions"]
        if self.plan.role == "processor":
            revenue = self.currency.apart(self.taken.revenue_cents)
            lines.append(f"{self.taken.orders:,} orders with a revenue of {revenue} go out of rows and figures first")
        return [*lines, "dead letters stay as they are"]


def plan_reread(settings: Settings, buffer: Buffer, topic: str, start: str) -> Change:
    """Looks up what a reread of this topic from `start` on (see `starts.start_of`) would change.

    Raises UsageError where it cannot be done, and KafkaUnavailableError.
    """
    cluster = find_cluster(settings)
    view = ClusterView(settings, cluster)
    counts = view.partitions()
    role = _role_of(settings, topic, counts)
    told = view.identities([topic])[topic]
    # 1. The generation that is read now, and what was read of the topic on other clusters.
    generations = buffer.rereads.partitions(role, told.cluster_id, topic)
    identity = known_generation(told, _of_cluster(generations, told.cluster_id)) or told
    prior = [] if cluster.demo_id else buffer.rereads.prior(role, told.cluster_id, topic)
    prior = [each for each in prior if not each.cluster_id.startswith(DEMO_IDS)]
    newest_ms = max((each.newest_ms for each in prior), default=-1)
    if role == "collector" and not prior:
        raise UsageError(f"{topic} is a dead-letter topic: what was collected stays, so it is not read again")
    # 2. Where reading begins.
    spans = _spans(settings, cluster, topic, counts[topic], start)
    cuts: list[Cut] = []
    if role == "processor":
        # 3. What goes: of this topic all from there on, of the other clusters all or nothing.
        spans, cuts = _cuts(buffer, generations, identity, spans)
        if prior:
            cuts += _cuts_of_others(buffer, generations, told, start, newest_ms)
    plan = RereadPlan(role, replace(identity, reading=0), start, spans, cuts, newest_ms)
    with Reader(settings.database_file) as reader:
        currency = reader.currency()
    return Change(plan, buffer.rereads.orders_from(cuts), bool(prior), currency)


def _role_of(settings: Settings, topic: str, counts: dict[str, int]) -> Role:
    if topic not in counts:
        raise UsageError(f"there is no topic {topic}, or it is hidden from this account")
    if may_hold_orders(settings, topic):
        return "processor"
    if topic in choose_dead_letter_topics(settings, counts):
        return "collector"
    raise UsageError(f"{topic} is neither a topic of the orders ({settings.orders_topics}) nor a dead-letter topic")


def _of_cluster(generations: list[Generation], cluster_id: str) -> list[TopicIdentity]:
    """Oldest first."""
    return [each.identity for each in generations if each.identity.cluster_id == cluster_id]


def _spans(settings: Settings, cluster: Cluster, topic: str, count: int, start: str) -> list[Span]:
    watermarks = watermarks_of(settings, cluster, topic, count)
    if start == EARLIEST:
        return [Span(partition, low, high) for partition, (low, high) in watermarks.items()]
    if start == LATEST:
        return [Span(partition, high, high) for partition, (_, high) in watermarks.items()]
    found = offsets_since(settings, cluster, topic, count, int(start))
    return [Span(partition, found[partition], high) for partition, (_, high) in watermarks.items()]


def _cuts(
    buffer: Buffer, generations: list[Generation], identity: TopicIdentity, spans: list[Span]
) -> tuple[list[Span], list[Cut]]:
    """What goes of the topic itself, in whichever reading. What was pruned stays counted: reading begins behind it."""
    same = [each for each in generations if replace(each.identity, reading=0) == replace(identity, reading=0)]
    pruned = buffer.rereads.pruned_below([each.ref for each in same])
    starts = {span.partition: span.start for span in spans}
    for each in same:
        if each.partition in starts:
            starts[each.partition] = max(starts[each.partition], pruned.get(each.ref, 0))
    moved = [span._replace(start=starts[span.partition]) for span in spans]
    return moved, [Cut(each.ref, starts[each.partition]) for each in same if each.partition in starts]


def _cuts_of_others(
    buffer: Buffer, generations: list[Generation], told: TopicIdentity, start: str, newest_ms: int
) -> list[Cut]:
    """What goes of what was read on other clusters, whose records nobody can look up by their time any more."""
    others = of_other_clusters(generations, told.cluster_id)
    if start == LATEST or (start != EARLIEST and int(start) > newest_ms):
        return []
    if start != EARLIEST:
        raise UsageError(
            f"records up to {time_text(newest_ms)} were read from another cluster, and which of them are of "
            f"{time_text(int(start))} or later cannot be told any more: name a later time, `earliest` or `latest`"
        )
    if any(buffer.rereads.pruned_below([each.ref for each in others]).values()):
        raise UsageError(
            "orders of the other cluster were pruned and stay counted: from the earliest on, their copies would count "
            f"again; name a time after {time_text(newest_ms)}, or `latest`"
        )
    return [Cut(each.ref, 0) for each in others]


class Rereads:
    """Does what was asked for, a step at a time."""

    def __init__(self, settings: Settings, buffer: Buffer, clock: Clock) -> None:
        self._settings = settings
        self._buffer = buffer
        self._clock = clock
        self._ask_again = Interval(ASK_AGAIN_MS, clock)
        self.trouble = ""
        """Why what was asked for cannot be looked up now."""

    def step(self) -> bool:
        """Does the next step of what is asked for; whether there was one that could be done."""
        return any(self._step_of(each) for each in self._buffer.rereads.unfinished() if each.state != "held")

    def _step_of(self, asked: HeldTopic) -> bool:
        rereads = self._buffer.rereads
        if asked.state == "asked":
            return self._look_up(asked)
        if asked.state == "draining":
            reached("reread: before a topic is closed")
            closed = rereads.close_partitions(asked.id)
            reached("reread: topic closed")
            return closed
        reached("reread: before orders are taken out")
        rereads.take_orders(asked.id, self._clock())
        reached("reread: orders taken out")
        return True

    def _look_up(self, asked: HeldTopic) -> bool:
        """Finds out what was asked for on the page, which asks Kafka nothing; whether it may begin."""
        if self.trouble and not self._ask_again.is_over():
            return False
        try:
            change = plan_reread(self._settings, self._buffer, asked.topic, asked.start or LATEST)
            if change.plan.identity.cluster_id != asked.cluster_id:
                raise UsageError(f"{asked.topic} is read from another cluster by now")
            self._buffer.rereads.begin(change.plan, asked.asked_by or "", self._clock())
        except KafkaUnavailableError as error:
            self.trouble = f"{asked.topic} is to be read again: {error}"
            return False
        except UsageError as error:
            self._buffer.rereads.refuse(asked.id, f"{asked.topic} is not read again: {error}", self._clock())
        self.trouble = ""
        return True
