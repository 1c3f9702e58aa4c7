//! The node agent: any number of simulated nodes from one process, over the public
//! Kubernetes API alone.
//!
//! Promises: pods bound to the nodes become ready, end, crash, restart and go the way a
//! kubelet would report it, with no container anywhere; a terminal pod is never revived;
//! nothing is lost when writes fail or the agent restarts. One watch on all pods serves
//! all nodes.
//!
//! Annotations steer single pods: `windlass.dev/ready: "false"` lets its readiness probes
//! fail, `windlass.dev/ignore-sigterm: "true"` lets its programs run on until their grace
//! period is over. What programs do follows from image and command, see [`program`].
//!
//! Deliberately not here: containers, networks, logs, exec, volumes.

pub mod address;
pub mod admission;
pub mod agent;
pub mod config;
pub mod container;
pub mod heartbeat;
pub mod node;
pub mod node_table;
pub mod pod;
pub mod pod_events;
pub mod pod_gc;
pub mod pod_status;
pub mod pod_worker;
pub mod program;
pub mod quantity;
pub mod status_patch;
pub mod time;
pub mod timers;

mod api;
mod pods;
mod sync_loop;
mod watches;
