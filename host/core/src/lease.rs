//! Leadership among replicas of the host, with the API server as the only coordinator.
//!
//! Owns the rules of client-go's `tools/leaderelection` for many leases in one process
//! ([`election`]), who is a member and since when ([`liveness`]), who should lead what
//! ([`placement`]), and their sum for one replica ([`group`]). All of it is a state machine
//! that is told the time and the answers: requests are made elsewhere.
//!
//! Promises: at no instant do two replicas hold a valid [`tenure::Tenure`] of one lease,
//! however requests are delayed, lost or reordered and processes stopped, as long as the
//! clocks of two machines do not differ in speed by more than the renew deadline is
//! shorter than the lease. No decision trusts the clock of another machine.
//! Deliberately not covered: somebody deletes a lease while its holder lives, and one that
//! has not seen the last renewals takes it before the holder has put it back.

pub mod clock;
pub mod election;
pub mod group;
pub mod liveness;
pub mod placement;
pub mod record;
pub mod tenure;

#[cfg(test)]
mod simulation;
