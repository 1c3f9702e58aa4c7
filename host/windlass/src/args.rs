//! Flags of every command: what was typed. What it means is in the command's own module.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use windlass_build::project::Language;
use windlass_manager::config::HostConfiguration;
use windlass_manager::config::host::check_log_filter;
use windlass_manager::rbac::HostAccount;
use windlass_registry::reference::Reference;

/// A Kubernetes controller manager whose controllers are WebAssembly components.
#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    version,
    about,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Start here: `windlass up` brings a cluster, `windlass demo` shows the main job.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) log: LogArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring an embedded cluster: API server, simulated nodes, stock guests.
    Up(UpArgs),
    /// Create a project: a controller that builds and passes its tests at once.
    ///
    /// It keeps a ConfigMap for every object of a custom resource, to be changed into what you
    /// want. The SDK comes along in `third_party/windlass-sdk`.
    New(NewArgs),
    /// Write the SDK of this version into a project, over that of another version.
    Sdk(SdkArgs),
    /// Run a project on an embedded cluster, built and reloaded on every save.
    ///
    /// Beside the stock guests, and granted what it declares. Objects in `crds` are applied
    /// before it starts, those in `examples` after that, and both again when they are saved.
    Dev(DevArgs),
    /// Run a project's end-to-end tests on a fresh embedded cluster.
    ///
    /// Builds the project and runs it beside the stock guests, with the objects in `crds`
    /// applied. Each folder in `tests/e2e` is a test in kuttl's format: the objects in
    /// `00-NAME.yaml` are applied in a namespace of its own, then `00-assert.yaml` says what
    /// must come about and `00-errors.yaml` what must not be, then come `01-...` and so on.
    /// With a command after `--`, that is run instead, with KUBECONFIG set.
    Test(TestArgs),
    /// Run modules against any Kubernetes API server.
    Run(RunArgs),
    /// Run modules and record everything that their guests are told and answered.
    Record(RecordArgs),
    /// Run a guest on a recording, offline, and show what it does otherwise.
    Replay(ReplayArgs),
    /// A scripted tour on an embedded cluster: create, scale, roll, undo, delete.
    Demo(DemoArgs),
    /// Show how a running host and its modules fare.
    Status(StatusArgs),
    /// The same, live.
    Top(TopArgs),
    /// Build a project, in any language, to a guest.
    ///
    /// The language is told by the project's own files (Cargo.toml, go.mod, pyproject.toml,
    /// package.json, C sources) or by a windlass.yaml. What its toolchain lacks is installed
    /// once, pinned, into the cache folder, with pip or npm.
    Build(BuildArgs),
    /// Write code for a guest.
    #[command(subcommand)]
    Generate(GenerateCommand),
    /// Show what a guest is: contract version, watches, permissions, limits.
    Inspect(InspectArgs),
    /// Check, print and explain configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the least RBAC objects that a configuration needs, as YAML.
    Rbac(RbacArgs),
    /// Push a guest to an OCI registry, and sign it.
    ///
    /// The file must be a component of this host's contract; one of another version of the
    /// contract is pushed with a warning. Credentials are Docker's: $DOCKER_CONFIG/config.json
    /// or ~/.docker/config.json, with its helpers; `docker login` and its like write them.
    Push(PushArgs),
    /// Pull a guest from an OCI registry into a file, and check who signed it.
    ///
    /// Credentials are Docker's, as for `windlass push`. While the registry is out of reach,
    /// what a tag pointed to last is taken from the cache, and the output says so.
    Pull(PullArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

/// What goes to standard error. Comes before what a configuration says of it.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// Log level, or a filter such as `info,windlass_cluster=debug`.
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        value_parser = log_filter,
        help_heading = "Logging"
    )]
    pub(crate) log: Option<String>,
    /// Log format; default what the configuration says, else text.
    #[arg(long, global = true, value_name = "FORMAT", help_heading = "Logging")]
    pub(crate) log_format: Option<LogFormat>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormat> for windlass_manager::config::host::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Where to write the kubeconfig.
    #[arg(long, value_name = "FILE", default_value = "windlass.kubeconfig")]
    pub(crate) kubeconfig: PathBuf,
    /// Modules to run instead of the four stock guests.
    #[arg(long, value_name = "FILE", conflicts_with = "no_modules")]
    pub(crate) config: Option<PathBuf>,
    /// Only the API server and the nodes; run the modules elsewhere with `windlass run`.
    #[arg(long)]
    pub(crate) no_modules: bool,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// The embedded cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterArgs {
    /// Simulated nodes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) nodes: u32,
    /// HTTPS address of the API server; port 0 picks a free one. Loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// Plain HTTP address for the host itself; port 0 picks a free one. Loopback only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(crate) listen_http: SocketAddr,
    /// How long a pod takes from bound to running, such as 200ms.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration)]
    pub(crate) pod_start_latency: Duration,
    /// How long a pod takes from deleted to gone.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration)]
    pub(crate) pod_stop_latency: Duration,
    /// How long a pod may stay on a node that is gone before it is removed.
    #[arg(long, value_name = "DURATION", default_value = "40s", value_parser = duration)]
    pub(crate) pod_gc_quarantine: Duration,
}

/// The host that runs the modules.
#[derive(Clone, Debug, Args)]
pub(crate) struct HostArgs {
    /// Where compiled guests are kept; default `$XDG_CACHE_HOME/windlass` or `~/.cache/windlass`.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// How long to wait for running syncs when stopping; default what the configuration
    /// says, else 10s.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) shutdown_grace: Option<Duration>,
    /// Where the status page, health and metrics are served; port 0 picks a free one, `none`
    /// serves nothing. Default: what the configuration says, else 127.0.0.1:10270.
    #[arg(long, value_name = "ADDRESS", value_parser = status_address)]
    pub(crate) status_address: Option<StatusAddress>,
}

impl HostArgs {
    /// Where the status is served, the flag before the configuration.
    pub(crate) fn status_address(&self, configuration: &HostConfiguration) -> Option<SocketAddr> {
        self.status_address
            .map_or(configuration.status_address, |address| address.0)
    }

    /// How long to wait for running syncs, the flag before the configuration.
    pub(crate) fn shutdown_grace(&self, configuration: &HostConfiguration) -> Duration {
        self.shutdown_grace.unwrap_or(configuration.shutdown_grace.0)
    }

    /// The same, serving no status.
    pub(crate) fn without_status(&self) -> Self {
        Self {
            status_address: Some(StatusAddress(None)),
            ..self.clone()
        }
    }
}

/// Where the status is served, if anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StatusAddress(pub(crate) Option<SocketAddr>);

/// Which host to ask.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Status address of the host.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10270")]
    pub(crate) address: String,
    /// As tables, or the whole structure.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    pub(crate) output: StatusOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusOutput {
    /// Tables that fit the terminal.
    Table,
    /// Tables with everything.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Status address of the host.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10270")]
    pub(crate) address: String,
    /// Time between two looks.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// HostConfiguration file: which modules to run.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Kubeconfig; default $KUBECONFIG, ~/.kube/config, or the pod's service account.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig; default its current one.
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Start nothing: load every module, hold it against its grants, and ask the API server
    /// whether the host may do what it would do. Fails if anything would.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

/// Runs like `windlass run`, and writes a file for every guest instance. It ends with a
/// signal, or after `--for`.
#[derive(Debug, Args)]
pub(crate) struct RecordArgs {
    /// Folder for the recordings; created if it is missing.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Record this module; may be given again. Default: all.
    #[arg(long, value_name = "NAME")]
    pub(crate) module: Vec<String>,
    /// Record the syncs of this key, `NAMESPACE/NAME`; may be given again. Default: all. What
    /// a guest is told besides is always recorded.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// Record, and run, for this long.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) window: Option<Duration>,
    /// Keep the content of Secrets, which is masked otherwise.
    #[arg(long)]
    pub(crate) include_secrets: bool,
    /// Stop recording when the files have this size together.
    #[arg(long, value_name = "BYTES", default_value = "1Gi", value_parser = bytes)]
    pub(crate) max_size: u64,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Exits with 0 when the guest did everything as recorded, with 2 when it did not.
#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A file that `windlass record` wrote.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The guest to run: a component file, or the name of a stock guest.
    #[arg(long, value_name = "GUEST", required_unless_present = "print")]
    pub(crate) module: Option<String>,
    /// Module configuration (JSON) instead of the recorded one.
    #[arg(long, value_name = "JSON")]
    pub(crate) module_config: Option<String>,
    /// Show what is in the recording.
    #[arg(long)]
    pub(crate) print: bool,
    /// Where compiled guests are kept; default `$XDG_CACHE_HOME/windlass` or `~/.cache/windlass`.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Simulated nodes.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) nodes: u32,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The project's folder.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The component; default `target/windlass/NAME.wasm` in the project.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Load it as a host would, and refuse what a host refuses.
    #[arg(long)]
    pub(crate) check: bool,
    /// Module configuration (JSON) to check it with.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) module_config: String,
    /// Where toolchains are installed; default `toolchains` in `$XDG_CACHE_HOME/windlass` or
    /// `~/.cache/windlass`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) toolchains: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// The folder to create; its name is the project's.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// The language: rust, go, python, javascript (which means TypeScript) or c.
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,
    /// The project's name, if it is not the folder's.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct SdkArgs {
    /// The project's folder.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The project's folder.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Run only tests whose names contain this; may be given again.
    #[arg(long, value_name = "NAME", conflicts_with = "command")]
    pub(crate) test: Vec<String>,
    /// How long an assertion may take to come true, unless it says so itself.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration, conflicts_with = "command")]
    pub(crate) timeout: Duration,
    /// Module configuration (JSON).
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) module_config: String,
    /// Simulated nodes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) nodes: u32,
    /// Where toolchains are installed; default as for `windlass build`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) toolchains: Option<PathBuf>,
    /// Where compiled guests are kept; default `$XDG_CACHE_HOME/windlass` or `~/.cache/windlass`.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// A command to run instead of the tests in `tests/e2e`, and its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// The project's folder.
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Module configuration (JSON).
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) module_config: String,
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Where to write the kubeconfig.
    #[arg(long, value_name = "FILE", default_value = "windlass.kubeconfig")]
    pub(crate) kubeconfig: PathBuf,
    /// Where toolchains are installed; default as for `windlass build`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) toolchains: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GenerateCommand {
    /// Types for an SDK, from CustomResourceDefinitions or an OpenAPI v3 document.
    ///
    /// YAML or JSON; of several definitions, all. An API server's own document of a group is
    /// at `/openapi/v3/apis/GROUP/VERSION`, as `kubectl get --raw` prints it.
    // `--version` is that of the kinds.
    #[command(disable_version_flag = true)]
    Types(GenerateTypesArgs),
}

#[derive(Debug, Args)]
pub(crate) struct GenerateTypesArgs {
    /// The definitions or the document; `-` for standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Language of the guest.
    #[arg(long = "lang", value_name = "LANGUAGE")]
    pub(crate) language: TypesLanguage,
    /// Version of the kinds; default the stored one of a definition, all of a document.
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Kind, or name of a schema, to generate with all that it refers to; may be given again.
    /// Default: all kinds.
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Vec<String>,
    /// File to write, or a folder, which gets `resources` with the language's ending; default
    /// standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Name of the package, for Go.
    #[arg(long, value_name = "NAME", default_value = "main")]
    pub(crate) package: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypesLanguage {
    /// Structs with serde.
    Rust,
    /// Structs with tags.
    Go,
    /// Dataclasses.
    Python,
    /// Interfaces, for JavaScript too.
    #[value(alias = "javascript")]
    Typescript,
    /// A header with functions that read and set members of JSON.
    C,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A component file, or the name of a stock guest.
    #[arg(value_name = "GUEST")]
    pub(crate) guest: String,
    /// Print the ClusterRole it needs instead, as YAML.
    #[arg(long)]
    pub(crate) rbac: bool,
    /// Module configuration (JSON) to describe it with.
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) module_config: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Write a configuration with every default; without a file, one of the stock guests.
    Print {
        /// HostConfiguration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Say whether a configuration is valid, and if not, where and why.
    Check {
        /// HostConfiguration file.
        #[arg(long = "file", short = 'f', value_name = "FILE")]
        file: PathBuf,
    },
    /// Print the JSON Schema of configurations.
    Schema,
    /// Print the reference of configurations as Markdown.
    Reference,
    /// Print the definition of ControllerModule objects, for `kubectl apply`.
    Crd,
}

#[derive(Debug, Args)]
pub(crate) struct RbacArgs {
    /// HostConfiguration file; without one, the stock guests are meant.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// ServiceAccount that the host runs as.
    #[arg(long, value_name = "NAMESPACE:NAME", default_value = "kube-system:windlass", value_parser = service_account)]
    pub(crate) service_account: HostAccount,
    /// Where compiled guests are kept; default `$XDG_CACHE_HOME/windlass` or `~/.cache/windlass`.
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// The component.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Where to: `registry/repository:tag`.
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: Reference,
    /// Private key to sign with, as cosign verifies it: a PEM file with an ECDSA P-256 or
    /// Ed25519 key in unencrypted PKCS #8.
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    /// Annotation of the manifest; the guest's version is one by itself, as
    /// org.opencontainers.image.version.
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    pub(crate) annotations: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Where from: `registry/repository:tag`, or `registry/repository@sha256:…`.
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: Reference,
    /// File to write, `-` for standard output; default the last part of the repository with
    /// `.wasm`.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verify: VerifyArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

/// How a command talks to a registry.
#[derive(Debug, Args)]
pub(crate) struct RegistryArgs {
    /// Speak to the registry without TLS. Credentials are then sent in the clear.
    #[arg(long)]
    pub(crate) plain_http: bool,
}

/// Who must have signed: the holder of a key, or an identity.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Public key that it must be signed with, a PEM file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verify_identity", "verify_identity_matches"])]
    pub(crate) verify_key: Option<PathBuf>,
    /// Identity that must have signed it keylessly: an e-mail address or the URI of a workflow.
    #[arg(long, value_name = "IDENTITY", requires_all = ["verify_issuer", "trusted_root"])]
    pub(crate) verify_identity: Option<String>,
    /// Regular expression that the whole identity matches, in place of the identity.
    #[arg(long, value_name = "REGEX", requires_all = ["verify_issuer", "trusted_root"], conflicts_with = "verify_identity")]
    pub(crate) verify_identity_matches: Option<String>,
    /// URL of the OpenID provider that vouches for the identity.
    #[arg(long, value_name = "URL")]
    pub(crate) verify_issuer: Option<String>,
    /// `trusted_root.json` with the authorities and logs of sigstore, as `cosign trusted-root
    /// create` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) trusted_root: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

fn log_filter(text: &str) -> Result<String, String> {
    check_log_filter(text).map(|()| text.to_owned())
}

fn service_account(text: &str) -> Result<HostAccount, String> {
    match text.split_once(':') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => Ok(HostAccount {
            namespace: namespace.into(),
            name: name.into(),
        }),
        _ => Err("write namespace and name, such as kube-system:windlass".to_owned()),
    }
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as org.opencontainers.image.source=https://example.com".to_owned()),
    }
}

fn bytes(text: &str) -> Result<u64, String> {
    windlass_manager::config::parse_bytes(text)
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| "write a number of bytes, such as 64Mi or 1Gi".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    windlass_manager::config::parse_span(text)
        .ok_or_else(|| "write a number with its unit, such as 500ms, 1s or 2m".to_owned())
}

fn status_address(text: &str) -> Result<StatusAddress, String> {
    if text == "none" {
        return Ok(StatusAddress(None));
    }
    let address = text
        .parse()
        .map_err(|_| "write an address with its port, such as 127.0.0.1:10270, or `none`".to_owned())?;
    Ok(StatusAddress(Some(address)))
}
