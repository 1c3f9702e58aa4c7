//! The seam to the host: how plugins are called. The component has the contract's imports
//! behind it, tests a plugin of their own.

/// What a plugin has a say in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hooks(pub(crate) u8);

impl Hooks {
    /// Nothing.
    pub(crate) const NONE: Self = Self(0);
    /// Whether the pod can be scheduled at all.
    pub(crate) const PRE_FILTER: Self = Self(1);
    /// Where it can go.
    pub(crate) const FILTER: Self = Self(2);
    /// Where it is best.
    pub(crate) const SCORE: Self = Self(4);
    /// Taking note of the choice.
    pub(crate) const RESERVE: Self = Self(8);
    /// Everything.
    pub(crate) const ALL: Self = Self(15);

    /// Whether all of these are in.
    pub(crate) fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What both have.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What either has.
    pub(crate) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How raw scores become scores from 0 to 100.
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "a native build has no components")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Normalize {
    /// They are that already.
    None,
    /// In proportion to the highest, which becomes 100.
    HighestIsBest,
    /// In proportion to the highest, which becomes 0.
    LowestIsBest,
}

/// A plugin that the module has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Available {
    /// What the module's configuration calls it.
    pub(crate) name: String,
    /// What it has.
    pub(crate) hooks: Hooks,
    /// How its scores are to be scaled.
    pub(crate) normalize: Normalize,
    /// What it reads of nodes besides the metadata.
    pub(crate) node_fields: Vec<String>,
    /// The same of pods.
    pub(crate) pod_fields: Vec<String>,
}

/// What a plugin says of a pod and some nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evaluation {
    /// Why the pod can go nowhere.
    pub(crate) rejection: Option<String>,
    /// By node: 0, or one more than the position of a reason.
    pub(crate) verdicts: Vec<u16>,
    /// The reasons.
    pub(crate) reasons: Vec<String>,
    /// By node: a raw score.
    pub(crate) scores: Vec<i64>,
}

/// A hook. Only components name one.
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "a native build has no components")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HookName {
    PreFilter,
    Filter,
    Score,
    Reserve,
}

/// A hook could not do its work, or objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookError {
    /// Which.
    pub(crate) hook: HookName,
    /// Why.
    pub(crate) message: String,
}

/// Why a call has no answer.
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "a native build has no components")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The plugin says so.
    Hook(HookError),
    /// Its instance is gone; the next one knows no nodes.
    Ended(String),
}

/// What a plugin is told of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeUpdate {
    /// Its number.
    pub(crate) slot: u32,
    /// Its name.
    pub(crate) name: Box<str>,
    /// The node, or nothing when it is gone.
    pub(crate) body: Option<Vec<u8>>,
}

/// Calls plugins, and reads the objects that they are handed.
pub(crate) trait PluginCalls {
    /// Starts a plugin with these arguments.
    fn open(&mut self, name: &str, args: &[u8]) -> Result<u32, String>;
    /// Tells it of nodes.
    fn update_nodes(&mut self, plugin: u32, nodes: &[NodeUpdate]) -> Result<(), Failure>;
    /// Has it judge.
    fn evaluate(
        &mut self,
        plugin: u32,
        cycle: u64,
        pod: Option<&[u8]>,
        nodes: &[u32],
        asked: Hooks,
    ) -> Result<Evaluation, Failure>;
    /// A node was chosen.
    fn reserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure>;
    /// It does not get the pod.
    fn unreserve(&mut self, plugin: u32, cycle: u64, slot: u32) -> Result<(), Failure>;
    /// The attempt is over.
    fn end_cycle(&mut self, plugin: u32, cycle: u64) -> Result<(), Failure>;
    /// A node's body.
    fn node(&mut self, name: &str) -> Option<Vec<u8>>;
    /// A pod's body.
    fn pod(&mut self, namespace: &str, name: &str) -> Option<Vec<u8>>;
}

/// For schedulers whose profiles enable no components.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) struct NoPlugins;

#[cfg(not(target_arch = "wasm32"))]
impl PluginCalls for NoPlugins {
    fn open(&mut self, name: &str, _: &[u8]) -> Result<u32, String> {
        Err(format!("nobody can call {name:?}"))
    }

    fn update_nodes(&mut self, _: u32, _: &[NodeUpdate]) -> Result<(), Failure> {
        Err(gone())
    }

    fn evaluate(
        &mut self,
        _: u32,
        _: u64,
        _: Option<&[u8]>,
        _: &[u32],
        _: Hooks,
    ) -> Result<Evaluation, Failure> {
        Err(gone())
    }

    fn reserve(&mut self, _: u32, _: u64, _: u32) -> Result<(), Failure> {
        Err(gone())
    }

    fn unreserve(&mut self, _: u32, _: u64, _: u32) -> Result<(), Failure> {
        Err(gone())
    }

    fn end_cycle(&mut self, _: u32, _: u64) -> Result<(), Failure> {
        Err(gone())
    }

    fn node(&mut self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn pod(&mut self, _: &str, _: &str) -> Option<Vec<u8>> {
        None
    }
}

#[cfg(not(target_arch = "wasm32"))]
fn gone() -> Failure {
    Failure::Ended("it was never opened".to_owned())
}
