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
//! | `profiles` | `["default-scheduler"]` | the `spec.schedulerName`s to schedule |
//! | `percentageOfNodesToScore` | `100` | below 100, stop looking once this share is feasible; 0 is upstream's adaptive share |
//! | `podInitialBackoffSeconds` | `1` | first back-off of a rejected pod, doubling |
//! | `podMaxBackoffSeconds` | `10` | longest back-off |
//! | `plugins` | `{}` | by plugin name: `{"enabled": false}` or `{"weight": 1..100}` |

mod classes;
mod component;
mod config;
mod cycle;
mod decision;
mod events;
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
pub use config::{Config, Sampling};
pub use decision::{Assignment, ConditionChange, Decision, Failure, FailureReason};
pub use model::PodKey;
pub use queue::QueueItem;
pub use scheduler::{Resource, Scheduler};
