//! The Windlass scheduler: gives every pending pod the best node, as kube-scheduler's default profile does.
//!
//! The core is plain, synchronous Rust: deltas go in, decisions come out (`Scheduler`). The component around
//! it only translates the contract.
//!
//! Pods are taken one at a time by priority; every decision looks at all nodes unless configured to sample.
//! What it does not do: preempt, provision or check volumes, and allocate dynamic resources. A pod that uses
//! claims is placed by everything else about it. Nodes that others, such as a preemptor or an autoscaler, have
//! nominated for pods (`status.nominatedNodeName`) stay set aside for these; the field is never written here.
//!
//! # Configuration
//!
//! Every key is optional, an unknown one is an error.
//!
//! | key | default | meaning |
//! |---|---|---|
//! | `profiles` | `["default-scheduler"]` | whose pods to schedule: a `spec.schedulerName`, or a profile as below |
//! | `percentageOfNodesToScore` | `100` | below 100, stop looking once this share is feasible; 0 is upstream's adaptive share |
//! | `podInitialBackoffSeconds` | `1` | first back-off of a rejected pod, doubling |
//! | `podMaxBackoffSeconds` | `10` | longest back-off |
//! | `plugins` | `{}` | by plugin name, for all profiles: `{"enabled": false}` or `{"weight": 1..100}` |
//!
//! # Profiles and plugins
//!
//! A profile has the keys of a `KubeSchedulerProfile`: `schedulerName`, `plugins` and `pluginConfig`. Under
//! `plugins` are `multiPoint`, `preFilter`, `filter`, `score` and `reserve`, each with `enabled` (`name` and for
//! scores `weight`, 1 if there is none) and `disabled` (`name`, or `*`). `multiPoint` starts from the built-in
//! plugins as `plugins` above has them, and what an extension point says goes before it: a plugin can filter
//! without scoring, or score without filtering. What a list asks for and cannot be had is an error.
//!
//! Plugins that are components are named as in the module's entry, unlike any built-in plugin. They run where
//! they are enabled, after the built-in plugins, and get their `args` from `pluginConfig`. What they say is never
//! shared between pods and all nodes are looked at, whatever `percentageOfNodesToScore` says.

mod classes;
mod component;
mod config;
mod cycle;
mod decision;
mod events;
mod external;
mod fit_error;
mod hash;
mod journal;
mod labels;
mod model;
mod plugins;
mod quantity;
mod question;
mod queue;
mod reservations;
mod scheduler;
mod topology;

#[cfg(test)]
mod reference;

pub use component::SchedulerGuest;
pub use config::{Config, EnabledPlugin, Profile, Sampling};
pub use decision::{Assignment, ConditionChange, Decision, Failure, FailureReason};
pub use external::Reservation;
pub use model::PodKey;
pub use queue::QueueItem;
pub use scheduler::{Resource, Scheduler};
