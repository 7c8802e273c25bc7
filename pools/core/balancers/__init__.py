"""The balancing policies: one for each choice of `document.Policy`."""

from __future__ import annotations

from pools.core.balancers.base import Balancer, Candidate
from pools.core.balancers.consistent_hash import ConsistentHash
from pools.core.balancers.least_requests import LeastRequests
from pools.core.balancers.power_of_two import PowerOfTwo
from pools.core.balancers.round_robin import RoundRobin
from pools.core.balancers.weighted_random import WeightedRandom
from pools.core.document import Policy

__all__ = ["BALANCERS", "Balancer", "Candidate"]

BALANCERS: dict[Policy, type[Balancer]] = {
    Policy.ROUND_ROBIN: RoundRobin,
    Policy.LEAST_REQUESTS: LeastRequests,
    Policy.POWER_OF_TWO: PowerOfTwo,
    Policy.RANDOM: WeightedRandom,
    Policy.CONSISTENT_HASH: ConsistentHash,
}
