//! `windlass:scheduler/plugins`: the scheduler calls its plugins. It waits for each call,
//! and nothing else runs in it meanwhile.

use crate::bindings::scheduling::windlass::scheduler::plugins as wit;
use crate::bindings::scheduling::windlass::scheduler::types::{Evaluation, Hook, HookError, Hooks, Node};
use crate::failure::ContractBreach;
use crate::host::{Caller, HostState};
use crate::open_plugins::OpenPlugin;

type Answer<T> = wasmtime::Result<Result<T, wit::Failure>>;

impl wit::Host for HostState {
    async fn describe(&mut self) -> wasmtime::Result<Vec<wit::Available>> {
        let plugins = self.plugins.available().iter();
        let available = plugins.map(|plugin| wit::Available {
            name: plugin.name.to_string(),
            description: (*plugin.description).clone(),
        });
        Ok(available.collect())
    }

    async fn open(&mut self, name: String, args: Vec<u8>) -> wasmtime::Result<Result<u32, String>> {
        let caller = self.as_caller();
        Ok(self.plugins.open(&caller, &name, args).await)
    }

    async fn update_nodes(&mut self, plugin: u32, nodes: Vec<Node>) -> Answer<()> {
        let (caller, plugin) = open(self, plugin)?;
        let called = plugin.call(&caller, |exports| &exports.update_nodes, (nodes,));
        Ok(called.await.map_err(wit::Failure::Ended))
    }

    async fn evaluate(
        &mut self,
        plugin: u32,
        cycle: u64,
        pod: Option<Vec<u8>>,
        nodes: Vec<u32>,
        asked: Hooks,
    ) -> Answer<Evaluation> {
        let (caller, plugin) = open(self, plugin)?;
        let params = (cycle, pod, nodes, asked);
        let called = plugin.call(&caller, |exports| &exports.evaluate, params);
        Ok(match called.await {
            Ok((result,)) => result.map_err(wit::Failure::Hook),
            Err(reason) => Err(wit::Failure::Ended(reason)),
        })
    }

    async fn reserve(&mut self, plugin: u32, cycle: u64, node: u32) -> Answer<()> {
        let (caller, plugin) = open(self, plugin)?;
        let called = plugin.call(&caller, |exports| &exports.reserve, (cycle, node));
        Ok(match called.await {
            Ok((result,)) => result.map_err(|message| {
                wit::Failure::Hook(HookError {
                    hook: Hook::Reserve,
                    message,
                })
            }),
            Err(reason) => Err(wit::Failure::Ended(reason)),
        })
    }

    async fn unreserve(&mut self, plugin: u32, cycle: u64, node: u32) -> Answer<()> {
        let (caller, plugin) = open(self, plugin)?;
        let called = plugin.call(&caller, |exports| &exports.unreserve, (cycle, node));
        Ok(called.await.map_err(wit::Failure::Ended))
    }

    async fn end_cycle(&mut self, plugin: u32, cycle: u64) -> Answer<()> {
        let (caller, plugin) = open(self, plugin)?;
        let called = plugin.call(&caller, |exports| &exports.end_cycle, (cycle,));
        Ok(called.await.map_err(wit::Failure::Ended))
    }
}

fn open(state: &mut HostState, plugin: u32) -> wasmtime::Result<(Caller, &mut OpenPlugin)> {
    let caller = state.as_caller();
    let breach = || ContractBreach(format!("plugin {plugin} was never opened"));
    let open = state.plugins.get(plugin).ok_or_else(breach)?;
    Ok((caller, open))
}
