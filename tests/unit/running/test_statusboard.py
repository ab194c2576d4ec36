"""A role's status fits its file, however much it has to tell, and the next one is read whole."""

from __future__ import annotations

from pipeline.running.statusboard import FILE_BYTES, StatusWriter, read_roles

NOW_MS = 1_760_000_000_000


def test_a_status_that_has_no_room_loses_its_lists_and_the_ends_of_its_texts(tmp_path):
    status = StatusWriter(tmp_path, "processor", 0, lambda: NOW_MS)
    topics = ", ".join(f"shop-{number}" for number in range(20_000))
    partitions = {f"shop-{number}[0]": {"lag": 1} for number in range(20_000)}
    status.report("running", "x" * 100_000, {"topic": topics, "lag": 20_000, "partitions": partitions})
    [role] = read_roles(tmp_path)
    assert role.figures.keys() == {"topic", "lag"}
    assert (role.figures["lag"], topics.startswith(role.figures["topic"])) == (20_000, True)
    assert (tmp_path / "roles" / "processor-0.json").stat().st_size == FILE_BYTES

    status.report("running", "", {"topic": "shop"})
    [role] = read_roles(tmp_path)
    assert role.figures == {"topic": "shop"}
    status.close()
