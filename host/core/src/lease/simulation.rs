//! Replicas, their drains, a network and an API server, all simulated, against the two
//! promises: never two at one instant, and one in the end.
//!
//! Requests are delayed by up to several seconds each way, lost before or after they were
//! carried out, and so overtake each other; processes stop for up to a minute and go on with
//! what they had in hand; they die, leave and join; clocks run at different speeds.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use smol_str::{SmolStr, format_smolstr};

use super::clock::{BootInstant, Clock};
use super::election::{Answer, ElectionConfig, Moment};
use super::group::{Action, Group, GroupConfig, LEASE_LABEL, Leadership, MEMBER, Mode, RebalanceConfig};
use super::record::{MicroTime, ObservedLease};
use super::tenure::Tenure;
use crate::shard::{SLOTS, Share};

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A machine's clock: its own start and its own speed.
struct SimulatedClock {
    truth: Arc<AtomicU64>,
    offset: u64,
    rate: f64,
}

impl SimulatedClock {
    /// How far ahead in true time a local moment is.
    fn until(&self, local: BootInstant) -> u64 {
        let ahead = local.saturating_since(self.now());
        (ahead.as_nanos() as f64 / self.rate).ceil() as u64 + 1
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> BootInstant {
        let truth = self.truth.load(Ordering::Relaxed);
        BootInstant::from_boot(Duration::from_nanos(
            self.offset + (truth as f64 * self.rate) as u64,
        ))
    }
}

#[derive(Default)]
struct Server {
    leases: BTreeMap<SmolStr, ObservedLease>,
    revision: u64,
}

#[derive(Debug)]
enum Reply {
    List(Vec<ObservedLease>),
    Lease(Answer),
}

impl Server {
    fn carry_out(&mut self, action: &Action) -> Reply {
        match action {
            Action::List => Reply::List(self.leases.values().cloned().collect()),
            Action::Get(name) => Reply::Lease(match self.leases.get(name) {
                Some(lease) => Answer::Lease(Arc::new(lease.clone())),
                None => Answer::NotFound,
            }),
            Action::Create(lease) if self.leases.contains_key(&lease.name) => Reply::Lease(Answer::Conflict),
            Action::Create(lease) => Reply::Lease(self.store(lease)),
            Action::Update(lease) => Reply::Lease(match self.leases.get(&lease.name) {
                None => Answer::NotFound,
                Some(stored) if stored.resource_version != lease.resource_version => Answer::Conflict,
                Some(_) => self.store(lease),
            }),
            Action::Delete {
                name,
                resource_version,
            } => {
                self.leases
                    .retain(|key, lease| key != name || lease.resource_version != *resource_version);
                Reply::Lease(Answer::Failed)
            }
        }
    }

    fn store(&mut self, lease: &ObservedLease) -> Answer {
        self.revision += 1;
        let mut lease = lease.clone();
        lease.resource_version = format_smolstr!("{}", self.revision);
        self.leases.insert(lease.name.clone(), lease.clone());
        Answer::Lease(Arc::new(lease))
    }
}

#[derive(Debug)]
enum Event {
    /// A timer; only the last one that was set counts.
    Wake(u64),
    /// A request reaches the server.
    Request(u64, Action),
    /// Its answer reaches the replica.
    Reply(u64, Reply),
    /// Nobody waits for it any longer.
    Timeout(u64),
    Drained(SmolStr),
    SteppedDown(SmolStr, Tenure),
    Trouble,
}

impl Event {
    fn happens_elsewhere(&self) -> bool {
        matches!(self, Self::Request(..) | Self::Trouble)
    }
}

struct Replica {
    group: Group,
    clock: Arc<SimulatedClock>,
    /// Counts the timers that were set.
    timers: u64,
    stopped_until: u64,
    is_dead: bool,
    cut_off_until: u64,
    /// Requests by number, with the lease that each is about; none for a list.
    pending: BTreeMap<u64, Option<SmolStr>>,
    /// Slots with syncs that run, with the membership that fences them.
    busy: BTreeMap<SmolStr, BTreeMap<u16, Tenure>>,
    /// The share that each module's controller is adapting to.
    drains: BTreeMap<SmolStr, Share>,
    hand_overs: Vec<Tenure>,
}

#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// Chance that a request or an answer is lost.
    loss: f64,
    /// Chance of a long delay.
    slow: f64,
    /// Whether replicas stop, die, leave and join.
    churn: bool,
    /// Clocks differ in speed by up to this part.
    drift: f64,
}

struct World {
    truth: Arc<AtomicU64>,
    rng: StdRng,
    server: Server,
    replicas: Vec<Replica>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, (usize, Event)>,
    serial: u64,
    trouble: Trouble,
    led: Vec<SmolStr>,
    shared: Vec<SmolStr>,
    slots_moved: u64,
}

fn names(prefix: &str, count: usize) -> Vec<SmolStr> {
    (0..count)
        .map(|index| format_smolstr!("{prefix}-{index}"))
        .collect()
}

impl World {
    fn new(seed: u64, trouble: Trouble, led: usize, shared: usize) -> Self {
        Self {
            truth: Arc::new(AtomicU64::new(0)),
            rng: StdRng::seed_from_u64(seed),
            server: Server::default(),
            replicas: Vec::new(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            serial: 0,
            trouble,
            led: names("led", led),
            shared: names("shared", shared),
            slots_moved: 0,
        }
    }

    fn now(&self) -> u64 {
        self.truth.load(Ordering::Relaxed)
    }

    fn join(&mut self) {
        let index = self.replicas.len();
        let drift = self.trouble.drift;
        let clock = Arc::new(SimulatedClock {
            truth: self.truth.clone(),
            offset: self.rng.random_range(0..1000) * SECOND,
            rate: self.rng.random_range(1.0 - drift..=1.0 + drift),
        });
        let config = GroupConfig {
            name: "g".into(),
            identity: format_smolstr!("replica-{index}"),
            election: ElectionConfig::default(),
            rebalance: RebalanceConfig::default(),
        };
        self.replicas.push(Replica {
            group: Group::new(config, clock.clone()),
            clock,
            timers: 0,
            stopped_until: 0,
            is_dead: false,
            cut_off_until: 0,
            pending: BTreeMap::new(),
            busy: BTreeMap::new(),
            drains: BTreeMap::new(),
            hand_overs: Vec::new(),
        });
        let moment = self.moment(index);
        for lease in self.led.clone() {
            self.replicas[index].group.join(&lease, Mode::Led, moment);
        }
        for lease in self.shared.clone() {
            self.replicas[index].group.join(&lease, Mode::Shared, moment);
        }
        self.schedule(0, index, Event::Wake(0));
    }

    fn moment(&self, index: usize) -> Moment {
        Moment {
            boot: self.replicas[index].clock.now(),
            // The wall clock of this machine stands still: nothing may depend on it.
            wall: MicroTime(index as i64),
        }
    }

    fn schedule(&mut self, after: u64, index: usize, event: Event) {
        self.serial += 1;
        self.events.insert(self.serial, (index, event));
        self.queue.push(Reverse((self.now() + after, self.serial)));
    }

    fn delay(&mut self) -> u64 {
        let slow = self.rng.random_bool(self.trouble.slow);
        self.rng
            .random_range(MILLISECOND..if slow { 6 * SECOND } else { 50 * MILLISECOND })
    }

    /// Runs until the true time is this many seconds, checking the promises all the way.
    fn run(&mut self, seconds: u64) {
        while let Some(Reverse((time, serial))) = self.queue.peek().copied() {
            if time > seconds * SECOND {
                break;
            }
            self.queue.pop();
            let Some((index, event)) = self.events.remove(&serial) else {
                continue;
            };
            self.truth.store(time, Ordering::Relaxed);
            let is_elsewhere = event.happens_elsewhere();
            self.handle(index, event);
            if !is_elsewhere {
                self.check();
            }
        }
        self.truth.store(seconds * SECOND, Ordering::Relaxed);
    }

    fn handle(&mut self, index: usize, event: Event) {
        let stopped_until = self.replicas[index].stopped_until;
        if !event.happens_elsewhere() {
            if self.replicas[index].is_dead {
                return;
            }
            if stopped_until > self.now() {
                return self.schedule(stopped_until - self.now(), index, event);
            }
        }
        match event {
            Event::Wake(timer) if timer != self.replicas[index].timers => return,
            Event::Wake(_) => {}
            Event::Request(number, action) => return self.serve(index, number, &action),
            Event::Trouble => return self.make_trouble(),
            Event::Reply(number, reply) => self.reply(index, number, Some(reply)),
            Event::Timeout(number) => self.reply(index, number, None),
            Event::Drained(lease) => self.drained(index, &lease),
            Event::SteppedDown(lease, tenure) => {
                let replica = &mut self.replicas[index];
                if replica.group.leadership(&lease).tenure() == Some(&tenure) {
                    replica.group.step_down(&lease);
                }
            }
        }
        self.poll(index);
    }

    fn serve(&mut self, index: usize, number: u64, action: &Action) {
        let reply = self.server.carry_out(action);
        let after = self.delay();
        if !self.rng.random_bool(self.trouble.loss) {
            self.schedule(after, index, Event::Reply(number, reply));
        }
    }

    fn reply(&mut self, index: usize, number: u64, reply: Option<Reply>) {
        let moment = self.moment(index);
        let replica = &mut self.replicas[index];
        let Some(lease) = replica.pending.remove(&number) else {
            return;
        };
        match (lease, reply) {
            (None, Some(Reply::List(leases))) => replica.group.listed(moment, Some(leases)),
            (None, _) => replica.group.listed(moment, None),
            (Some(lease), Some(Reply::Lease(answer))) => replica.group.answered(&lease, moment, answer),
            (Some(lease), _) => replica.group.answered(&lease, moment, Answer::Failed),
        }
    }

    fn poll(&mut self, index: usize) {
        let moment = self.moment(index);
        let poll = self.replicas[index].group.poll(moment);
        if poll.finished {
            self.replicas[index].is_dead = true;
        }
        for action in poll.actions {
            self.send(index, action);
        }
        if let Some(wake_at) = poll.wake_at {
            let replica = &mut self.replicas[index];
            replica.timers += 1;
            let (after, timer) = (replica.clock.until(wake_at), replica.timers);
            self.schedule(after, index, Event::Wake(timer));
        }
        self.follow(index);
    }

    fn send(&mut self, index: usize, action: Action) {
        self.serial += 1;
        let number = self.serial;
        let about = match &action {
            Action::List => None,
            Action::Get(name) => Some(name.clone()),
            Action::Create(lease) | Action::Update(lease) => Some(lease.name.clone()),
            Action::Delete { .. } => return drop(self.server.carry_out(&action)),
        };
        let cut_off = self.replicas[index].cut_off_until > self.now();
        self.replicas[index].pending.insert(number, about);
        self.schedule(2 * SECOND, index, Event::Timeout(number));
        let after = self.delay();
        if !cut_off && !self.rng.random_bool(self.trouble.loss) {
            self.schedule(after, index, Event::Request(number, action));
        }
    }

    /// The replica's controllers: they begin to sync what is theirs, and take their time to stop.
    fn follow(&mut self, index: usize) {
        for lease in self.shared.clone() {
            let replica = &mut self.replicas[index];
            let share = replica.group.share(&lease);
            let busy = replica.busy.entry(lease.clone()).or_default();
            for slot in (0..SLOTS).filter(|slot| share.slots().contains(*slot)) {
                busy.insert(slot, share.tenure().unwrap().clone());
            }
            if replica.drains.get(&lease) != Some(&share) {
                replica.drains.insert(lease.clone(), share);
                let after = self.rng.random_range(0..3 * SECOND);
                self.schedule(after, index, Event::Drained(lease));
            }
        }
        for lease in self.led.clone() {
            let replica = &mut self.replicas[index];
            if let Leadership::HandingOver { tenure, .. } = replica.group.leadership(&lease) {
                if !replica.hand_overs.contains(&tenure) {
                    replica.hand_overs.push(tenure.clone());
                    let after = self.rng.random_range(0..3 * SECOND);
                    self.schedule(after, index, Event::SteppedDown(lease, tenure));
                }
            }
        }
    }

    fn drained(&mut self, index: usize, lease: &SmolStr) {
        let replica = &mut self.replicas[index];
        let share = replica.group.share(lease);
        let busy = replica.busy.entry(lease.clone()).or_default();
        let before = busy.len();
        busy.retain(|slot, _| share.slots().contains(*slot));
        self.slots_moved += (before - busy.len()) as u64;
        replica.group.drained(lease, &share);
    }

    fn make_trouble(&mut self) {
        if !self.trouble.churn {
            return;
        }
        let after = self.rng.random_range(SECOND..20 * SECOND);
        self.schedule(after, 0, Event::Trouble);
        let now = self.now();
        let index = self.rng.random_range(0..self.replicas.len());
        let span = self.rng.random_range(SECOND..60 * SECOND);
        let live = self.replicas.iter().filter(|replica| !replica.is_dead).count();
        match self.rng.random_range(0..6) {
            0 | 1 => self.replicas[index].stopped_until = now + span,
            2 => self.replicas[index].cut_off_until = now + span,
            3 if live > 1 => self.replicas[index].is_dead = true,
            4 if live > 1 && self.replicas[index].stopped_until <= now => self.leave(index),
            _ if live < 5 => self.join(),
            _ => {}
        }
    }

    fn leave(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        if !replica.is_dead {
            replica.busy.clear();
            replica.group.leave();
            self.poll(index);
        }
    }

    fn check(&self) {
        let running = || self.replicas.iter().filter(|replica| !replica.is_dead);
        for lease in &self.led {
            let leaders = running().filter(|replica| replica.group.leadership(lease).is_valid_now());
            assert!(leaders.count() <= 1, "two lead {lease} at {}", self.now());
        }
        for lease in &self.shared {
            let mut owners = [0_u8; SLOTS as usize];
            for replica in running() {
                let share = replica.group.share(lease);
                let is_valid = share.is_valid_now();
                for slot in (0..SLOTS).filter(|slot| is_valid && share.slots().contains(*slot)) {
                    owners[usize::from(slot)] += 1;
                }
                // What it owns it also syncs; what it no longer owns may still run.
                for (slot, tenure) in replica.busy.get(lease).into_iter().flatten() {
                    let is_counted = is_valid && share.slots().contains(*slot);
                    owners[usize::from(*slot)] += u8::from(!is_counted && tenure.is_valid_now());
                }
            }
            assert!(
                owners.iter().all(|owners| *owners <= 1),
                "two sync a slot of {lease} at {}: {owners:?}",
                self.now()
            );
        }
    }

    fn calm(&mut self) {
        self.trouble = Trouble {
            loss: 0.0,
            slow: 0.0,
            churn: false,
            drift: 0.0,
        };
        let now = self.now();
        for replica in &mut self.replicas {
            replica.stopped_until = replica.stopped_until.min(now);
            replica.cut_off_until = 0;
        }
        if self.replicas.iter().all(|replica| replica.is_dead) {
            self.join();
        }
    }

    fn live(&self) -> Vec<&Replica> {
        self.replicas.iter().filter(|replica| !replica.is_dead).collect()
    }

    /// Every lease has a leader and every slot an owner, spread evenly.
    fn check_settled(&self) {
        let live = self.live();
        let mut loads = vec![0_usize; live.len()];
        for lease in &self.led {
            let leaders: Vec<usize> = (0..live.len())
                .filter(|index| live[*index].group.leadership(lease).is_valid_now())
                .collect();
            assert_eq!(leaders.len(), 1, "{lease} has no leader");
            loads[leaders[0]] += 1;
        }
        assert!(spread(&loads) <= 1, "leases are spread {loads:?}");
        for lease in &self.shared {
            let shares: Vec<Share> = live.iter().map(|replica| replica.group.share(lease)).collect();
            assert!(shares.iter().all(Share::is_valid_now));
            let sizes: Vec<usize> = shares.iter().map(|share| share.slots().len() as usize).collect();
            assert_eq!(
                sizes.iter().sum::<usize>(),
                usize::from(SLOTS),
                "{lease}: {sizes:?}"
            );
            assert!(spread(&sizes) <= 1, "{lease}: {sizes:?}");
        }
        for replica in &live {
            assert_eq!(replica.group.members().identities.len(), live.len());
        }
    }
}

fn spread(loads: &[usize]) -> usize {
    loads.iter().max().unwrap_or(&0) - loads.iter().min().unwrap_or(&0)
}

fn calm() -> Trouble {
    Trouble {
        loss: 0.0,
        slow: 0.0,
        churn: false,
        drift: 0.0,
    }
}

#[test]
fn one_replica_leads_everything_at_once_and_three_share_it_later() {
    let mut world = World::new(1, calm(), 9, 1);
    world.join();
    world.run(2);
    world.check_settled();
    world.join();
    world.join();
    world.run(200);
    world.check_settled();
    let memberships = world.server.leases.values();
    let memberships = memberships.filter(|lease| lease.labels[LEASE_LABEL] == MEMBER);
    assert_eq!(memberships.count(), 3);
}

#[test]
fn a_replica_that_joins_takes_no_more_slots_than_its_share() {
    let mut world = World::new(2, calm(), 0, 1);
    world.join();
    world.join();
    world.run(60);
    world.slots_moved = 0;
    world.join();
    world.run(120);
    world.check_settled();
    assert_eq!(world.slots_moved, 85, "256 slots over 3");
}

#[test]
fn one_that_leaves_is_replaced_within_seconds_and_one_that_dies_after_its_lease() {
    let mut world = World::new(3, calm(), 6, 1);
    for _ in 0..3 {
        world.join();
    }
    world.run(200);
    world.leave(0);
    world.run(210);
    world.check_settled();
    world.replicas[1].is_dead = true;
    world.run(235);
    world.check_settled();
}

#[test]
fn a_process_that_was_stopped_finds_everything_ended_before_it_does_anything() {
    let mut world = World::new(4, calm(), 1, 1);
    world.join();
    world.run(30);
    let replica = &world.replicas[0];
    let (leadership, share) = (replica.group.leadership("led-0"), replica.group.share("shared-0"));
    assert!(leadership.is_valid_now() && share.is_valid_now());
    // No event is handled: the process is stopped.
    world.truth.fetch_add(11 * SECOND, Ordering::Relaxed);
    assert!(!leadership.is_valid_now() && !share.is_valid_now());
}

#[test]
fn moving_a_slot_takes_seconds_and_no_sequencer_is_needed_for_long() {
    let mut world = World::new(5, calm(), 0, 1);
    world.join();
    world.join();
    world.run(60);
    let sequencer = world
        .replicas
        .iter()
        .position(|replica| replica.group.leadership("shared-0").is_valid_now())
        .unwrap();
    // The one that keeps the table stops, and another joins: the table waits for a new keeper.
    world.replicas[sequencer].is_dead = true;
    world.join();
    world.run(95);
    world.check_settled();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn never_two_at_one_instant_and_one_in_the_end(
        seed in any::<u64>(),
        replicas in 1_usize..5,
        led in 0_usize..6,
        shared in 0_usize..3,
        loss in 0.0..0.4,
        slow in 0.0..0.6,
        churn in any::<bool>(),
    ) {
        let trouble = Trouble { loss, slow, churn, drift: 0.02 };
        let mut world = World::new(seed, trouble, led, shared);
        for _ in 0..replicas {
            world.join();
        }
        world.schedule(SECOND, 0, Event::Trouble);
        world.run(200);
        world.calm();
        world.run(480);
        world.check_settled();
    }
}
