"""Records of the same key around the original, what is odd beside a good record, and how long Kafka keeps both."""

from __future__ import annotations

from datetime import tzinfo

import streamlit as st

from dashboard.dead_letters.letter.kafka import Told, forget_kafka, say_what_is_waited_for
from dashboard.shared.context import now_ms, viewer_zone
from dashboard.shared.formats import moment, number, plain, size
from dashboard.shared.tables import draw_table, number_column, text_column, time_column
from pipeline.dead_letters.letter.examined import Around, Examined, Good
from pipeline.dead_letters.letter.keeping import Kept

_ROWS_HIGH = 10
_KINDS = {
    "missing": "missing",
    "type": "another type",
    "null": "null",
    "empty": "empty",
    "extra": "not in good ones",
    "value": "unlike all others",
}


def say_what_kafka_warns_of(kafka: Told) -> None:
    """What one should know before a replay: newer records of its key, and how long both topics keep it."""
    if kafka.examined is None:
        return
    examined = kafka.examined
    if newer := examined.around.newer:
        told = f"{number(newer)} newer records of its key came since: a replay comes behind them."
        if newer == 1:
            told = "A newer record of its key came since: a replay comes behind it."
        st.warning(told, icon=":material/history:")
    zone, at_ms = viewer_zone(), now_ms()
    first, last = _extent(examined.source.kept, zone, at_ms), _extent(examined.dead_letter.kept, zone, at_ms)
    told = f"both {last}" if first == last else f"the original {first}, and the dead letter {last}"
    st.caption(f":material/schedule: Kafka keeps {told}.")


def _extent(kept: Kept, zone: tzinfo, at_ms: int) -> str:
    """How long it is kept, as the end of a sentence."""
    limit = "" if kept.most_bytes is None else f" once its partition has more than {size(kept.most_bytes)}"
    if kept.state == "gone":
        return f"no more ({plain(kept.why)})"
    if kept.state == "not known":
        return f"for nobody knows how long ({plain(kept.why)})"
    if kept.state == "for ever":
        return "for ever"
    if kept.until_ms is None:
        told = "until it goes" if kept.state == "until" else "until a newer one of its key replaces it"
        return f"{told}{limit}"
    where = moment(kept.until_ms, zone)[:16]
    told = f"until about {where}" if kept.until_ms > at_ms else f"since {where} only until its segment goes"
    told = f"{told}, earlier{limit}" if limit else told
    return f"{told}, or a newer one of its key replaces it" if kept.state == "compacted" else told


def draw_around(told: Told) -> None:
    """The records of the same key."""
    if told.examined is None:
        say_what_is_waited_for(told)
    else:
        _draw_what_was_found(told.examined)
    if told.asked is not None and not told.asked.is_open:
        st.button(
            "Ask Kafka again", icon=":material/refresh:", type="tertiary", on_click=forget_kafka, key="letter_ask_again"
        )


def _draw_what_was_found(examined: Examined) -> None:
    around, source = examined.around, examined.source
    if around.why_not:
        st.caption(plain(f"No records of its key: {around.why_not}."))
    else:
        _draw_records(around)
    if around.looked:
        how = f" ({plain(around.cut)})" if around.cut else ", all that the partition holds"
        st.caption(f"Looked at {plain(around.looked)} of its partition{how}.")
    if source.note:
        st.caption(f":material/info: {plain(source.note[:1].upper() + source.note[1:])}.")


def _draw_records(around: Around) -> None:
    found = [each for each in around.records if each.what != "the original"]
    st.caption(f"{number(around.older)} before it and {number(around.newer)} since, without its own replays.")
    if not found:
        st.caption("No other record of its key was found.")
    columns = [
        number_column("offset", "Offset", [each.offset for each in around.records], 90, "%d"),
        time_column("at", "Written", [_time(each.timestamp_ms) for each in around.records], 150),
        text_column("what", "What it is", [each.what or "not known" for each in around.records], 110),
        text_column("value", "Value", [each.value for each in around.records], 320),
    ]
    draw_table("letter_around", columns, _ROWS_HIGH)
    shown = len(found)
    if around.older + around.newer > shown:
        st.caption(f"The nearest {number(shown)} are shown.")


def _time(at_ms: int) -> int | None:
    return at_ms if at_ms >= 0 else None


def draw_good_record(told: Told) -> None:
    """What is odd about the value beside good records, and the one nearest to it."""
    st.markdown("**Beside a good record**")
    if told.examined is None:
        say_what_is_waited_for(told)
        return
    good = told.examined.good
    if good.position:
        where = f"{plain(good.what)}, {plain(good.position)}, {plain(good.format)}"
        amount = f", and {number(good.count - 1)} more of its schema" if good.count > 1 else ""
        st.caption(f"Near it stands {where}." if good.why_not else f"Compared with {where}{amount}.")
    if good.why_not:
        st.caption(f"{plain(good.why_not[:1].upper() + good.why_not[1:])}.")
    else:
        _draw_differences(good)
    if good.value:
        with st.expander("The good record", icon=":material/task:", key="letter_good_record"):
            st.code(good.value, language="json", wrap_lines=True)


def _draw_differences(good: Good) -> None:
    found = good.comparison.differences
    if not found:
        st.caption("Nothing is odd about its fields: what is wrong with it is not in its form.")
    else:
        columns = [
            text_column("path", "Path", [each.path for each in found], 170),
            text_column("kind", "What is odd", [_KINDS[each.kind] for each in found], 120),
            text_column("here", "Here", [each.here for each in found], 160),
            text_column("good", "In good ones", [each.good for each in found], 220),
        ]
        draw_table("letter_differences", columns, _ROWS_HIGH)
    if good.comparison.cut:
        st.caption(f"{plain(good.comparison.cut)}.")
