"""How syncs end, what they read and what they ask of the API server."""

from __future__ import annotations

import asyncio
import copy
import json
import unittest
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import windlass
from windlass import (
    AlreadyExists,
    BadRequest,
    Batch,
    Claim,
    Client,
    Condition,
    Conflict,
    Controller,
    DecodeError,
    Fields,
    Index,
    Itself,
    LabelSelector,
    Lister,
    Manifest,
    Mapped,
    MappedEvent,
    Metadata,
    NotFound,
    Object,
    ObjectKey,
    OwnedBy,
    PatchType,
    Result,
    Retry,
    Terminal,
    Timeout,
    Unstructured,
    Watch,
)
from windlass.controller import check_exports
from windlass.metrics import Counter, Gauge, Histogram
from windlass.testing import Cluster


@dataclass
class PodSpec:
    node_name: str = ""


@dataclass
class Pod(Object, version="v1", plural="pods", kind="Pod"):
    spec: PodSpec


class Job(Unstructured, group="batch", version="v1", plural="jobs", kind="Job"):
    pass


class Node(Unstructured, version="v1", plural="nodes", kind="Node", namespaced=False):
    pass


JOBS = Watch(Job, enqueue=Itself())
PODS = Watch(
    Pod,
    enqueue=OwnedBy(Job, matching_orphans=True),
    view=Fields("spec.nodeName"),
    indexes=[Index("node", "spec.nodeName")],
)
NODES = Watch(Node, enqueue=Mapped(), view=Metadata(), observe=True)
pods, jobs = Client(Pod), Client(Job)

SYNCS = Counter("syncs_total", "Syncs.", labels=["namespace"])
LAST = Gauge("last", "The last.")
SIZES = Histogram("sizes", "Sizes.", buckets=[1, 2])

Body = Callable[[ObjectKey], Coroutine[Any, Any, Result | None]]


@windlass.main
class Scripted(Controller):
    """Does in a sync what a test says."""

    manifest = Manifest("scripted", "1", watches=[JOBS, PODS, NODES])

    def __init__(self) -> None:
        self.body: Body | None = None
        self.synced: list[str] = []
        self.observed: list[tuple[str, str]] = []

    async def sync_handler(self, key: ObjectKey) -> Result | None:
        self.synced.append(str(key))
        return await self.body(key) if self.body else None

    def keys_for(self, event: MappedEvent) -> Iterable[ObjectKey]:
        assert event.of(NODES) and event.object(NODES).key == event.key
        return [pod.key for pod in Lister(PODS).by_index("node", event.key.name)]

    def observe(self, batches: Sequence[Batch]) -> None:
        self.observed += [(delta.kind, str(delta.key)) for batch in batches for delta in batch.deltas]


def pod(name: str, *, app: str = "", node: str = "", owner: str = "", namespace: str = "default") -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": namespace, "name": name, "uid": name, "labels": {"app": app}}
    if owner:
        reference = {"apiVersion": "batch/v1", "kind": "Job", "name": owner, "uid": owner, "controller": True}
        metadata["ownerReferences"] = [reference]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node, "containers": []},
    }


def job(name: str, **metadata: Any) -> dict[str, Any]:
    metadata = {"namespace": "default", "name": name, "uid": name, **metadata}
    spec = {"selector": {"matchLabels": {"app": name}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.cluster = Cluster(Scripted)
        self.addCleanup(self.cluster.close)

    def within(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What a call returns within a sync."""
        answers = []

        async def body(key: ObjectKey) -> None:
            answers.append(await call())

        self.cluster.controller.body = body
        self.cluster.sync("default/a")
        return answers[0]


class Bare(Controller):
    """Has nothing but what a controller must have."""

    manifest = Manifest("bare", "1", watches=[Watch(Job, enqueue=Mapped()), Watch(Pod, observe=True)])

    async def sync_handler(self, key: ObjectKey) -> None:
        pass


class ExportTest(unittest.TestCase):
    def test_a_controller_exports_what_it_has(self) -> None:
        check_exports(Bare, [])
        check_exports(Scripted, ["observer", "mapper"])
        with self.assertRaises(TypeError) as raised:
            check_exports(Scripted, ["observer"])
        self.assertEqual(
            str(raised.exception),
            "Scripted has a method `keys_for`, which nobody would call: write `exports: [mapper]` into windlass.yaml",
        )
        with self.assertRaises(TypeError) as raised:
            check_exports(Bare, ["observer"])
        self.assertEqual(
            str(raised.exception), "windlass.yaml exports the observer, but Bare has no method `observe`"
        )

    def test_a_controller_without_a_handler_is_none(self) -> None:
        class Idle(Controller):
            manifest = Manifest("idle", "1")

        class Promised(Bare, windlass.Mapper):
            pass

        self.assertRaisesRegex(TypeError, "^Idle has no method `sync_handler`$", check_exports, Idle, [])
        self.assertRaisesRegex(TypeError, "^Promised has no method `keys_for`$", check_exports, Promised, ["mapper"])
        with self.assertRaisesRegex(TypeError, "sync_handler"):
            Idle()  # type: ignore[abstract]

    def test_a_fake_cluster_says_what_its_watches_miss(self) -> None:
        with Cluster(Bare) as cluster:
            self.assertRaisesRegex(AssertionError, "watch 0 is mapped", cluster.put, job("j"))
            self.assertRaisesRegex(AssertionError, "watch 1 is observed", cluster.put, pod("a"))


class OutcomeTest(Case):
    def ends(self, error: BaseException) -> Exception:
        async def body(key: ObjectKey) -> None:
            raise error

        self.cluster.controller.body = body
        with self.assertRaises(windlass.Error) as raised:
            self.cluster.sync("default/a")
        return raised.exception

    def test_nothing_returned_is_done(self) -> None:
        self.assertEqual(self.cluster.sync("default/a"), Result())

    def test_the_errors_of_the_sdk_stay_what_they_are(self) -> None:
        for error in (Retry("again"), Terminal("never"), Timeout("late")):
            self.assertIs(self.ends(error), error)

    def test_any_other_exception_is_tried_again_with_its_traceback_in_the_log(self) -> None:
        with self.assertLogs("windlass", "ERROR") as logs:
            error = self.ends(ZeroDivisionError("division by zero"))
        self.assertIs(type(error), Retry)
        self.assertEqual(str(error), "ZeroDivisionError: division by zero")
        self.assertIn("Traceback", logs.output[0])

    def test_leaving_is_tried_again_too(self) -> None:
        for error in (SystemExit(3), asyncio.CancelledError()):
            with self.assertLogs("windlass", "ERROR"):
                self.assertIs(type(self.ends(error)), Retry)

    def test_an_object_that_does_not_fit_is_terminal(self) -> None:
        self.cluster.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "a"}})
        with self.assertRaisesRegex(DecodeError, "spec: missing") as raised:
            Lister(PODS).get(ObjectKey("default", "a"))
        self.assertIsInstance(raised.exception, Terminal)

    def test_a_group_is_terminal_only_if_all_of_it_is(self) -> None:
        error = self.ends(ExceptionGroup("", [Terminal("a"), Terminal("b")]))
        self.assertIsInstance(error, Terminal)
        self.assertEqual(str(error), "[a, b]")
        self.assertNotIsInstance(self.ends(ExceptionGroup("", [Terminal("a"), Retry("b")])), Terminal)
        with self.assertLogs("windlass", "ERROR"):
            self.assertEqual(str(self.ends(ExceptionGroup("", [KeyError("x")]))), "KeyError: 'x'")

    def test_a_failed_start_says_why(self) -> None:
        class Failing(Scripted):
            async def start(self) -> None:
                raise OSError("no disk")

        with Cluster(Failing) as cluster, self.assertLogs("windlass", "ERROR"):
            self.assertRaisesRegex(Terminal, "OSError: no disk", cluster.start)


class ReadTest(Case):
    def test_listers_read_no_more_than_the_view(self) -> None:
        self.cluster.put(pod("a", app="x", node="n1", owner="j"))
        self.cluster.put(pod("b", app="y", node="n2"))
        self.cluster.put(pod("c", app="y", namespace="other"))
        lister = Lister(PODS)

        def names(found: list[Pod]) -> list[str]:
            return sorted(pod.metadata.name for pod in found)

        found = lister.get(ObjectKey("default", "a"))
        assert found is not None
        self.assertEqual(found.spec, PodSpec("n1"))
        self.assertEqual(found.to_json()["spec"], {"nodeName": "n1"})
        self.assertIsNone(lister.get(ObjectKey("default", "none")))
        self.assertEqual(names(lister.list()), ["a", "b", "c"])
        self.assertEqual(names(lister.list("default", {"app": "y"})), ["b"])
        self.assertEqual(names(lister.list(selector="app in (x, z)")), ["a"])
        self.assertEqual(names(lister.list(selector="app!=x,!gone")), ["b", "c"])
        self.assertEqual(names(lister.by_index("node", "n2")), ["b"])
        self.assertEqual(names(lister.by_owner("j")), ["a"])
        self.assertEqual(names(lister.orphans("default")), ["b"])
        self.assertRaises(Terminal, lister.by_index, "none", "x")
        self.assertRaises(Terminal, lister.list, None, "a in (")

    def test_a_watch_in_no_manifest_cannot_be_read(self) -> None:
        self.assertRaisesRegex(RuntimeError, "in no manifest", Lister(Watch(Pod)).list)

    def test_events_become_keys_as_the_rules_say(self) -> None:
        self.cluster.put(job("j"))
        self.cluster.put(pod("a", node="n", owner="j"))
        self.cluster.run()
        self.assertEqual(self.cluster.controller.synced, ["default/j"])
        self.cluster.put(pod("orphan", app="j"))
        self.assertEqual(self.cluster.queue, [ObjectKey("default", "j")])
        self.cluster.run()
        self.cluster.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
        self.assertEqual(self.cluster.queue, [ObjectKey("default", "a")])
        self.assertEqual(self.cluster.controller.observed, [("added", "n")])

    def test_what_is_put_off_is_synced_when_its_time_has_come(self) -> None:
        async def later(key: ObjectKey) -> Result:
            return Result(requeue_after=timedelta(seconds=5))

        self.cluster.controller.body = later
        self.cluster.put(job("j"))
        self.assertEqual(self.cluster.run(), 1)
        self.cluster.advance(timedelta(seconds=4))
        self.assertEqual(self.cluster.run(), 0)
        self.cluster.advance(timedelta(seconds=1))
        self.assertEqual(self.cluster.run(), 1)


class WriteTest(Case):
    def test_every_verb(self) -> None:
        async def calls() -> None:
            created = await jobs.create({"metadata": {"namespace": "default", "name": "j"}, "spec": {}})
            key = created.key
            with self.assertRaises(BadRequest):
                await jobs.create(created)
            with self.assertRaises(AlreadyExists):
                await jobs.create({"metadata": {"namespace": "default", "name": "j"}})
            created["spec"] = {"parallelism": 1}
            updated = await jobs.update(created)
            self.assertEqual(updated.metadata.generation, 2)
            with self.assertRaises(Conflict):
                await jobs.update(created)
            with self.assertRaises(Conflict):
                await jobs.patch(key, {"metadata": {"uid": "another"}})
            updated["status"] = {"active": 1}
            self.assertEqual((await jobs.update_status(updated))["status"], {"active": 1})
            await jobs.patch_status(key, {"status": {"failed": 2}})
            patched = await jobs.patch(key, {"metadata": {"labels": {"a": "b"}}})
            self.assertEqual(patched["status"], {"active": 1, "failed": 2})
            operations = [{"op": "replace", "path": "/spec/parallelism", "value": 3}]
            await jobs.patch(key, operations, PatchType.JSON)
            self.assertEqual((await jobs.get(key))["spec"], {"parallelism": 3})
            await jobs.create_subresource(key, "eviction", {})
            with self.assertRaises(Conflict):
                await jobs.delete(key, uid="another")
            await jobs.delete(key, uid=created.metadata.uid)
            with self.assertRaises(NotFound) as missing:
                await jobs.get(key)
            self.assertEqual((missing.exception.code, missing.exception.reason), (404, "NotFound"))

        self.within(calls)
        self.assertIn("create jobs/eviction default/j", self.cluster.take_calls())

    def test_a_typed_object_is_written_back_whole(self) -> None:
        self.cluster.put(pod("a", node="n1"))

        async def move() -> None:
            found = await pods.get(ObjectKey("default", "a"))
            found.spec.node_name = "n2"
            await pods.update(found)

        self.within(move)
        self.assertEqual(self.cluster.get(Pod, "default/a").to_json()["spec"], {"nodeName": "n2", "containers": []})

    def test_a_dictionary_may_hold_dataclasses(self) -> None:
        body = Job({**job("j"), "metadata": windlass.ObjectMeta(name="j", namespace="default")})
        self.cluster.put(body)
        self.assertEqual(self.cluster.get(Job, "default/j").metadata.name, "j")
        self.assertIs(Unstructured.of(Job.resource), Unstructured.of(Job.resource))

    def test_lists_come_in_pages(self) -> None:
        for name in "abcde":
            self.cluster.put(pod(name, node="x" if name < "c" else "y"))

        async def lists() -> tuple[list[str], list[str]]:
            every = [pod.metadata.name async for pod in pods.pages("default", limit=2)]
            some = await pods.list(field_selector="spec.nodeName=x", label_selector="app=")
            return every, [pod.metadata.name for pod in some.items]

        self.assertEqual(self.within(lists), (list("abcde"), ["a", "b"]))
        self.assertEqual(len(self.cluster.take_calls()), 4)

    def test_calls_of_one_sync_overlap(self) -> None:
        for name in "abc":
            self.cluster.put(pod(name))
        keys = [ObjectKey("default", name) for name in "abc"]

        async def calls() -> list[Pod]:
            return await asyncio.gather(*map(pods.get, keys))

        self.assertEqual([pod.key for pod in self.within(calls)], keys)

    def test_finalizers_hold_an_object(self) -> None:
        self.cluster.put(job("j"))
        key = ObjectKey("default", "j")

        async def calls() -> None:
            found = await windlass.add_finalizer(await jobs.get(key), "a/b")
            self.assertIs(await windlass.add_finalizer(found, "a/b"), found)
            await jobs.delete(key)
            found = await jobs.get(key)
            self.assertTrue(found.metadata.is_deleting)
            await windlass.remove_finalizer(found, "a/b")

        self.within(calls)
        self.assertIsNone(self.cluster.find(Job, key))

    def test_failures_are_as_a_test_says(self) -> None:
        self.cluster.put(pod("a"))
        self.cluster.fail(lambda call: Timeout("late", code=504) if call.startswith("get pods") else None)
        with self.assertRaises(Timeout):
            self.within(lambda: pods.get(ObjectKey("default", "a")))


class ClaimTest(Case):
    def claim(self, candidates: list[dict[str, Any]], owner: dict[str, Any] | None = None) -> list[str]:
        stored = Job(self.cluster.put(owner or job("web")))
        found = [Pod.from_json(self.cluster.put(candidate)) for candidate in candidates]
        claim = Claim(stored, LabelSelector({"app": "web"}))
        return [pod.metadata.name for pod in self.within(lambda: claim.run(found))]

    def test_own_are_kept_foreign_ignored_and_matching_orphans_adopted_after_one_live_read(self) -> None:
        claimed = self.claim(
            [
                pod("own", app="web", owner="web"),
                pod("foreign", app="web", owner="x"),
                pod("a", app="web"),
                pod("b", app="web"),
                pod("c", app="other"),
            ]
        )
        self.assertEqual(claimed, ["own", "a", "b"])
        calls = ["get jobs default/web", "patch pods default/a", "patch pods default/b"]
        self.assertEqual(self.cluster.take_calls(), calls)
        self.assertTrue(self.cluster.get(Pod, "default/a").metadata.is_controlled_by("web"))

    def test_own_that_no_longer_match_are_released(self) -> None:
        self.assertEqual(self.claim([pod("own", app="other", owner="web")]), [])
        self.assertEqual(self.cluster.get(Pod, "default/own").metadata.owner_references, [])

    def test_a_release_of_what_is_gone_is_fine(self) -> None:
        self.cluster.fail(lambda call: NotFound("no") if call.startswith("patch") else None)
        self.assertEqual(self.claim([pod("own", app="other", owner="web")]), [])

    def test_a_replaced_owner_adopts_nothing(self) -> None:
        owner = Job(self.cluster.put(job("web")))
        self.cluster.put(job("web", uid="another"))
        orphan = Pod.from_json(self.cluster.put(pod("a", app="web")))
        claim = Claim(owner, LabelSelector({"app": "web"}))
        with self.assertRaises(Retry) as raised:
            self.within(lambda: claim.run([orphan]))
        self.assertEqual(
            str(raised.exception),
            "can't adopt Pod default/a (a): original Job default/web is gone: got uid another, wanted web",
        )

    def test_an_owner_on_its_way_out_neither_adopts_nor_releases(self) -> None:
        owner = job("web", deletionTimestamp="2026-01-01T00:00:00Z")
        candidates = [pod("own", app="other", owner="web"), pod("orphan", app="web")]
        self.assertEqual(self.claim([*candidates, pod("kept", app="web", owner="web")], owner), ["kept"])
        self.assertEqual(self.cluster.take_calls(), [])


class ServiceTest(Case):
    def test_conditions_change_their_time_with_their_status_only(self) -> None:
        conditions: list[Condition] = []
        begin = self.cluster.now
        self.assertTrue(windlass.set_condition(conditions, Condition("Ready", "False", "A")))
        self.cluster.advance(timedelta(seconds=9))
        self.assertFalse(windlass.set_condition(conditions, Condition("Ready", "False", "A")))
        self.assertTrue(windlass.set_condition(conditions, Condition("Ready", "False", "B")))
        self.assertEqual(conditions[0].last_transition_time, begin)
        self.assertTrue(windlass.set_condition(conditions, Condition("Ready", "True", "C")))
        self.assertEqual(conditions[0].last_transition_time, self.cluster.now)
        self.assertTrue(windlass.is_condition_true(conditions, "Ready"))
        self.assertTrue(windlass.remove_condition(conditions, "Ready"))
        self.assertIsNone(windlass.find_condition(conditions, "Ready"))

    def test_events(self) -> None:
        windlass.record_event(Job(self.cluster.put(job("j"))), "Odd", "something", type="Warning")
        self.assertEqual(self.cluster.take_events(), ["Warning Odd something"])

    def test_metrics(self) -> None:
        self.cluster.start()
        SYNCS.add(namespace="a")
        SYNCS.add(2, namespace="a")
        LAST.set(7)
        LAST.add(-3)
        SIZES.observe(1.5)
        self.assertEqual(self.cluster.metric("syncs_total", namespace="a"), 3)
        self.assertEqual(self.cluster.metric("syncs_total", namespace="b"), 0)
        self.assertEqual(self.cluster.metric("last"), 4)
        self.assertEqual(self.cluster.observations("sizes"), [1.5])
        self.assertRaisesRegex(TypeError, "has the labels namespace, not colour", SYNCS.add, colour="red")

    def test_configuration(self) -> None:
        with Cluster(Scripted, config={"nodeName": "n"}):
            self.assertEqual(windlass.config(PodSpec), PodSpec("n"))
        with Cluster(Scripted, config={"nodename": "n"}):
            self.assertRaisesRegex(DecodeError, "unknown: nodename", windlass.config, PodSpec)

    def test_queue_discovery_and_chance(self) -> None:
        windlass.enqueue(ObjectKey("", "x"), after=timedelta(seconds=1), priority=3)
        self.assertEqual([item.priority for item in self.cluster.take_queued()], [3])
        found = windlass.resolve("batch", "v1", "Job")
        self.assertEqual(found, Job.resource)
        self.cluster.scope(lambda kind: None)
        self.assertIsNone(windlass.resolve("batch", "v1", "Job"))
        chance = windlass.Random()
        self.assertTrue(all(0 <= chance.random() < 1 for _ in range(100)))
        self.assertTrue(all(1 <= chance.randint(1, 6) <= 6 for _ in range(100)))
        self.assertLess(chance.getrandbits(100), 1 << 100)
        self.assertRaisesRegex(TypeError, "no state to get", copy.copy, chance)
        self.assertRaisesRegex(TypeError, "no state to set", chance.setstate, ())

    def test_time_passes_as_a_test_says(self) -> None:
        wall, steady = windlass.now(), windlass.monotonic()
        self.cluster.advance(timedelta(milliseconds=5))
        self.assertEqual(windlass.now() - wall, timedelta(milliseconds=5))
        self.assertEqual(windlass.monotonic() - steady, timedelta(milliseconds=5))

    def test_without_a_host_there_is_nothing_to_ask(self) -> None:
        self.cluster.close()
        self.assertRaisesRegex(RuntimeError, "there is no host to ask", windlass.now)


class ManifestTest(unittest.TestCase):
    def test_a_watch_belongs_to_one_position(self) -> None:
        with self.assertRaisesRegex(ValueError, "is another manifest's watch 1"):
            Manifest("other", "1", watches=[PODS])

    def test_a_kind_is_declared_whole_or_not_at_all(self) -> None:
        with self.assertRaisesRegex(TypeError, "belong together"):
            type("Half", (Unstructured,), {}, version="v1")


class SelectorTest(unittest.TestCase):
    def test_the_string_form_says_everything(self) -> None:
        requirements = [
            {"key": "c", "operator": "In", "values": ["x", "y"]},
            {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "e", "operator": "Exists"},
            {"key": "f", "operator": "DoesNotExist"},
        ]
        body = {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": requirements}
        selector = windlass.decode(LabelSelector, json.loads(json.dumps(body)))
        self.assertEqual(str(selector), "a=1,b=2,c in (x,y),d notin (z),e,!f")
        self.assertTrue(selector.matches({"a": "1", "b": "2", "c": "y", "e": ""}))
        self.assertFalse(selector.matches({"a": "1", "b": "2", "c": "y", "d": "z", "e": ""}))
        self.assertFalse(LabelSelector())


if __name__ == "__main__":
    unittest.main()
