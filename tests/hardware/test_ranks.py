"""The place of a process among others, and what happens if one of them is lost."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from siamesekit.errors import UserError
from siamesekit.experiment.processes import leading
from siamesekit.hardware.place import Place, place_here
from siamesekit.hardware.ranks import LostRankError, Ranks, open_store, silence_here

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "0", "MASTER_ADDR": "a", "MASTER_PORT": "1"}


def test_torchrun_tells_the_place() -> None:
    assert place_here(TORCHRUN) == Place(1, 4, 0, socket.gethostname())
    assert place_here({}) is None
    assert place_here({"RANK": "0"}) is None, "a variable of something else"
    assert place_here({**TORCHRUN, "RANK": "0", "WORLD_SIZE": "1"}) is None


@pytest.mark.parametrize("wrong", [{"RANK": "4"}, {"RANK": "-1"}, {"WORLD_SIZE": "many"}, {"LOCAL_RANK": "-2"}])
def test_a_place_that_makes_no_sense_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UserError, match="is no rank: start the run by `torchrun"):
        place_here({**TORCHRUN, **wrong})


@pytest.mark.parametrize(("given", "seconds"), [({}, 30.0), ({"SIAMESEKIT_SILENCE": "5.5"}, 5.5)])
def test_the_bound_of_waiting(given: dict[str, str], seconds: float) -> None:
    assert silence_here(given) == seconds


@pytest.mark.parametrize("given", ["", "2", "nan", "inf", "long"])
def test_a_bound_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UserError, match=f"SIAMESEKIT_SILENCE={given}: must be a number of seconds, 3 or more"):
        silence_here({"SIAMESEKIT_SILENCE": given})


def two(silence: float = 3.0, **more: Any) -> tuple[Ranks, Ranks]:
    """Leader and follower, in this process and not connected: orders and reports need no more."""
    store, _ = open_store(2)
    return Ranks(Place(0, 2, 0, "a"), store, silence, **more), Ranks(Place(1, 2, 1, "b"), store.clone(), silence)


def test_orders_and_reports_arrive() -> None:
    import torch

    leader, follower = two()
    leader.order("work", {"epoch": 3}, images=torch.tensor([5, 1]), none=torch.tensor([], dtype=torch.int64))
    kind, values, numbers = follower.next_order()
    assert (kind, values) == ("work", {"epoch": 3})
    assert {name: tensor.tolist() for name, tensor in numbers.items()} == {"images": [5, 1], "none": []}
    follower.report({"said": ["a"]})
    assert leader.reports() == [{"said": ["a"]}]


def test_a_failure_is_told_to_the_others() -> None:
    leader, follower = two()
    leader.order("work")
    follower.next_order()
    follower.fail("no such\nphoto")
    follower.fail("another thing, which follows from it")
    with pytest.raises(LostRankError, match="rank 1 on b failed: no such"):
        leader.reports()


def test_a_failure_before_the_ranks_are_connected_is_told() -> None:
    """As of a device that a machine does not have: the leader does not wait for a process that will not come."""
    leader, follower = two(silence=30.0)
    with pytest.raises(UserError, match="no such device"), follower.telling_failure():
        raise UserError("no such device")
    begun = time.monotonic()
    with pytest.raises(LostRankError, match="rank 1 on b failed: no such device"):
        leader.connect(gpu=False)
    assert time.monotonic() - begun < 10
    leader.close()


def test_the_loss_of_another_rank_is_no_failure_of_this_one() -> None:
    leader, follower = two(ended=lambda: "rank 1 ended by SIGKILL")
    with pytest.raises(LostRankError, match="silent"), follower.telling_failure():
        raise LostRankError("rank 0 is silent")
    leader.order("work")
    with pytest.raises(LostRankError, match="rank 1 ended by SIGKILL"):
        leader.reports()


def test_a_process_that_ended_is_named() -> None:
    leader, _ = two(ended=lambda: "rank 1 ended by SIGKILL")
    leader.order("work")
    with pytest.raises(LostRankError, match="rank 1 ended by SIGKILL"):
        leader.reports()


@pytest.mark.medium
def test_a_silent_process_is_lost_within_the_bound() -> None:
    leader, follower = two(silence=0.6)
    leader.order("work")
    began = time.monotonic()
    with pytest.raises(LostRankError, match="rank 1 has given no sign of life for 1 s"):
        leader.reports()
    follower.orders = 1
    with pytest.raises(LostRankError, match="rank 0 has given no sign of life"):
        follower.next_order()
    assert time.monotonic() - began < 5


def test_processes_are_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**TORCHRUN, "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="--nproc 2: torchrun has started 4 processes"), leading(2, []):
        pass
