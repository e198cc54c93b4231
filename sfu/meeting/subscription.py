"""Who wants what of whose tracks, and what of it arrives. One table for each room; it decides, Conference carries out.

A subscription exists only to a published track of somebody else who is present. Its wish may be "nothing now"
(paused): the consumer then stays and needs no renegotiation to come back.
"""

from __future__ import annotations

from collections import deque

from sfu.meeting.events import (
    RoomEvent,
    SubscriptionFlowing,
    SubscriptionPaused,
    SubscriptionTuned,
    SubscriptionUnwanted,
    SubscriptionWanted,
    TrackDemand,
)
from sfu.meeting.participant import Participant, Quality, Subscription, Track


class SubscriptionTable:
    def __init__(self, room_id: str, session_id: str, events: deque[RoomEvent]) -> None:
        self._room_id = room_id
        self._session_id = session_id
        self._events = events
        self._subscribers: dict[str, dict[str, Participant]] = {}  # track_id -> inner_id -> subscriber
        self._wishes: dict[str, list[int]] = {}  # track_id -> how many enabled wishes for each Quality
        self._demand: dict[str, Quality | None] = {}  # track_id -> what was told last

    def count(self) -> int:
        return sum(len(subscribers) for subscribers in self._subscribers.values())

    def track_ids(self) -> set[str]:
        return set(self._subscribers)

    def add_track(self, publisher: Participant, track: Track, others: list[Participant]) -> None:
        """A track was published: those who take everything want it."""
        self._subscribers[track.track_id] = {}
        self._wishes[track.track_id] = [0] * len(Quality)
        self._demand[track.track_id] = None
        for subscriber in others:
            if subscriber.auto_subscribe and subscriber.receives:
                self._add(subscriber, publisher, track)
        self._report_demand(publisher, track.track_id)

    def remove_track(self, track_id: str) -> None:
        """A published track is gone; its subscribers are told."""
        for subscriber in self._subscribers.pop(track_id).values():
            subscription = subscriber.subscriptions.pop(track_id)
            self._events.append(SubscriptionUnwanted(*self._subject(subscriber, subscription)))
        del self._wishes[track_id], self._demand[track_id]

    def add_subscriber(self, subscriber: Participant, others: list[Participant]) -> None:
        """Somebody came who takes everything, or may receive from now on."""
        if not (subscriber.auto_subscribe and subscriber.receives):
            return
        for publisher in others:
            for track in publisher.tracks.values():
                if track.published and track.track_id not in subscriber.subscriptions:
                    self._add(subscriber, publisher, track)
                    self._report_demand(publisher, track.track_id)

    def remove_subscriber(self, subscriber: Participant, publishers: dict[str, Participant], *, told: bool) -> None:
        """`told` False when the subscriber leaves: its consumers go with it."""
        for track_id, subscription in list(subscriber.subscriptions.items()):
            publisher = publishers[subscription.publisher_id]
            self._count(subscription, publisher.tracks[track_id], -1)
            del self._subscribers[track_id][subscriber.inner_id]
            del subscriber.subscriptions[track_id]
            if told:
                self._events.append(SubscriptionUnwanted(*self._subject(subscriber, subscription)))
            self._report_demand(publisher, track_id)

    def want(
        self,
        subscriber: Participant,
        publisher: Participant,
        track: Track,
        *,
        enabled: bool,
        quality: Quality | None,
        width: int | None,
        height: int | None,
        priority: int | None,
    ) -> None:
        """A wish for one track. Not naming any quality or size keeps the former wish; naming one replaces both."""
        subscription = subscriber.subscriptions.get(track.track_id)
        if subscription is None:
            if not enabled:
                return
            subscription = self._add(subscriber, publisher, track)
        before = (subscription.wished(track), subscription.priority)
        self._count(subscription, track, -1)
        if quality is not None or width is not None or height is not None:
            subscription.quality, subscription.width, subscription.height = quality, width, height
        if priority is not None:
            subscription.priority = priority
        was_enabled, subscription.enabled = subscription.enabled, enabled
        self._count(subscription, track, +1)
        if was_enabled != enabled:
            self._events.append(SubscriptionPaused(*self._subject(subscriber, subscription), not enabled))
        if (wished := subscription.wished(track)) != before[0] or subscription.priority != before[1]:
            self._events.append(SubscriptionTuned(*self._subject(subscriber, subscription), wished, subscription.priority))
        self._report_demand(publisher, track.track_id)

    def report_flow(self, subscriber: Participant, track_id: str, *, flowing: bool, quality: Quality | None) -> None:
        """What arrives, told by the media plane; ignored for what is not wanted any more."""
        subscription = subscriber.subscriptions.get(track_id)
        if subscription is None or (subscription.flowing, subscription.flowing_quality) == (flowing, quality):
            return
        subscription.flowing, subscription.flowing_quality = flowing, quality
        self._events.append(SubscriptionFlowing(*self._subject(subscriber, subscription), flowing, quality))

    def clear(self) -> None:
        """The room ends: everybody's consumers go with them."""
        for track_id, subscribers in self._subscribers.items():
            for subscriber in subscribers.values():
                del subscriber.subscriptions[track_id]
        self._subscribers.clear()
        self._wishes.clear()
        self._demand.clear()

    def _add(self, subscriber: Participant, publisher: Participant, track: Track) -> Subscription:
        subscription = Subscription(publisher.participant_id, track.track_id)
        subscriber.subscriptions[track.track_id] = subscription
        self._subscribers[track.track_id][subscriber.inner_id] = subscriber
        self._count(subscription, track, +1)
        self._events.append(SubscriptionWanted(*self._subject(subscriber, subscription), track))
        return subscription

    def _count(self, subscription: Subscription, track: Track, change: int) -> None:
        if subscription.enabled:
            self._wishes[track.track_id][subscription.wished(track)] += change

    def _report_demand(self, publisher: Participant, track_id: str) -> None:
        wishes = self._wishes[track_id]
        demand = max((quality for quality in Quality if wishes[quality]), default=None)
        if demand == self._demand[track_id]:
            return
        self._demand[track_id] = demand
        self._events.append(
            TrackDemand(
                self._room_id,
                self._session_id,
                publisher.participant_id,
                publisher.inner_id,
                publisher.hidden,
                track_id,
                demand,
            )
        )

    def _subject(self, subscriber: Participant, subscription: Subscription) -> tuple[str, str, str, str, str, str]:
        return (
            self._room_id,
            self._session_id,
            subscriber.participant_id,
            subscriber.inner_id,
            subscription.publisher_id,
            subscription.track_id,
        )
