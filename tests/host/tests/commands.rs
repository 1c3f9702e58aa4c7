//! Wrong input: each gives one clear message, an exit code that is not 0, and no backtrace.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use windlass_tests::cluster::Cluster;
use windlass_tests::in_process::STOCK;
use windlass_tests::process::{Process, binary, repository};
use windlass_tests::status;

/// Runs the binary to its end in a folder of its own and returns exit code and output.
fn run(arguments: &[&str], folder: &Path) -> Result<(Option<i32>, String)> {
    let log = folder.join("output.log");
    let mut process = Process::start(arguments, &log)?;
    let code = process.wait(Duration::from_secs(60))?;
    let output = process.output();
    assert!(
        !output.contains("backtrace") && !output.contains("panicked"),
        "{output}"
    );
    Ok((code, output.trim().to_owned()))
}

/// Runs the binary with this as standard output; exit code and what it says of errors,
/// without the progress that is shown when guests take long to compile.
fn run_into(arguments: &[&str], output: impl Into<Stdio>) -> Result<(Option<i32>, String)> {
    let ended = Command::new(binary())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()?
        .wait_with_output()?;
    let errors = String::from_utf8(ended.stderr)?;
    let is_progress = |line: &&str| line.starts_with("Compiling guests");
    let errors = errors.split_inclusive('\n').filter(|line| !is_progress(line));
    Ok((ended.status.code(), errors.collect()))
}

/// Runs `windlass run` to its end with this configuration and kubeconfig, both of them in
/// `folder`.
fn run_host(
    folder: &Path,
    configuration: &str,
    kubeconfig: &str,
    flags: &[&str],
) -> Result<(Option<i32>, String)> {
    let (config, credentials) = (folder.join("host.yaml"), folder.join("kubeconfig"));
    std::fs::write(&config, configuration)?;
    std::fs::write(&credentials, kubeconfig)?;
    let (config, credentials) = (config.to_string_lossy(), credentials.to_string_lossy());
    let arguments = ["run", "--config", &config, "--kubeconfig", &credentials];
    run(&[&arguments, flags].concat(), folder)
}

/// What it says of a configuration that is wrong, beside which lie these files.
fn run_configuration(text: &str, files: &[(&str, &[u8])]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes)?;
    }
    let (code, output) = run_host(folder.path(), text, &kubeconfig_for(NOBODY, ""), &[])?;
    assert_eq!(code, Some(1), "{output}");
    let folder = folder.path().to_string_lossy();
    Ok(output
        .replace(&format!("{folder}/host.yaml"), "host.yaml")
        .replace(&*folder, "FOLDER"))
}

fn kubeconfig_for(server: &str, cluster_extra: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: c, cluster: {{server: \"{server}\"{cluster_extra}}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\ncontexts: [{{name: x, context: {{cluster: c, user: u}}}}]\ncurrent-context: x\n"
    )
}

/// Where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";
const HEAD: &str = "apiVersion: windlass.dev/v1alpha1\nkind: HostConfiguration\n";

fn module(rest: &str) -> String {
    format!("{HEAD}modules:\n- name: mine\n  source: {{file: mine.wasm}}\n{rest}")
}

#[test]
fn a_guest_file_that_is_missing_or_no_component_is_named() -> Result<()> {
    let output = run_configuration(&module(""), &[])?;
    assert!(
        output.starts_with("error: module mine: cannot read mine.wasm in FOLDER"),
        "{output}"
    );
    let output = run_configuration(&module(""), &[("mine.wasm", b"#!/bin/sh\n")])?;
    assert!(
        output.contains("module mine: file mine.wasm: not a WebAssembly component"),
        "{output}"
    );
    let output = run_configuration(&module(""), &[("mine.wasm", b"\0asm\x01\0\0\0")])?;
    assert!(
        output.contains("a core WebAssembly module, not a component"),
        "{output}"
    );
    let whole = std::fs::read(repository().join("target/guests/replicaset.wasm"))?;
    let output = run_configuration(&module(""), &[("mine.wasm", &whole[..whole.len() / 2])])?;
    assert!(output.contains("the component is cut off after"), "{output}");
    Ok(())
}

#[test]
fn a_guest_of_another_contract_version_is_refused_naming_both() -> Result<()> {
    let other = std::fs::read(repository().join("target/guests/windlass-fixture-other-version.wasm"))?;
    let output = run_configuration(&module(""), &[("mine.wasm", &other)])?;
    assert!(
        output.contains("this host serves windlass:controller@0.1.0"),
        "{output}"
    );
    assert!(
        output.contains("built for contract windlass:controller@"),
        "{output}"
    );
    Ok(())
}

#[test]
fn a_guest_may_not_lie_outside_the_configuration_s_folder() -> Result<()> {
    let text = format!("{HEAD}modules:\n- name: mine\n  source: {{file: ../../../../etc/hostname}}\n");
    let output = run_configuration(&text, &[])?;
    assert!(
        output.contains("files are read from this folder and below"),
        "{output}"
    );
    Ok(())
}

#[test]
fn a_link_out_of_the_configuration_s_folder_is_not_followed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let guest = repository().canonicalize()?.join("target/guests/replicaset.wasm");
    std::os::unix::fs::symlink(&guest, folder.path().join("mine.wasm"))?;
    std::os::unix::fs::symlink(guest.parent().unwrap_or(&guest), folder.path().join("guests"))?;
    for file in ["mine.wasm", "guests/replicaset.wasm"] {
        let text = format!("{HEAD}modules:\n- name: mine\n  source: {{file: {file}}}\n");
        let (code, output) = run_host(folder.path(), &text, &kubeconfig_for(NOBODY, ""), &[])?;
        assert_eq!(code, Some(1), "{output}");
        assert!(
            output.starts_with(&format!("error: module mine: cannot read {file} in")),
            "{output}"
        );
        assert!(
            output.contains("files are read from this folder and below"),
            "{output}"
        );
    }
    Ok(())
}

#[test]
fn a_collector_that_cannot_be_asked_is_refused_with_the_place_and_what_to_write() -> Result<()> {
    let text = format!("{HEAD}otlp: {{endpoint: \"https://collector:4318\"}}\n");
    assert_eq!(
        run_configuration(&text, &[])?,
        "error: configuration host.yaml: otlp.endpoint: \"https://collector:4318\" is not an http:// URL with a \
         host; https is not spoken, use an agent or a local address; write one such as http://otel-collector:4318"
    );
    Ok(())
}

#[test]
fn an_unknown_key_and_a_bad_value_are_refused_with_their_line() -> Result<()> {
    let output = run_configuration(&module("  wrokers: 3\n"), &[])?;
    assert!(
        output.starts_with("error: configuration host.yaml: line 6 column 3:"),
        "{output}"
    );
    assert!(output.contains("wrokers"), "{output}");
    let output = run_configuration(&module("  limits: {memory: lots}\n"), &[])?;
    assert!(
        output.contains("line 6") && output.contains("a number of bytes such as 64Mi"),
        "{output}"
    );
    Ok(())
}

#[test]
fn permissions_that_are_not_granted_are_listed() -> Result<()> {
    let guest = std::fs::read(repository().join("target/guests/replicaset.wasm"))?;
    let output = run_configuration(&module(""), &[("mine.wasm", &guest)])?;
    assert!(
        output.contains("declares permissions that the configuration does not grant"),
        "{output}"
    );
    assert!(output.contains("resources: [\"replicasets/status\""), "{output}");
    Ok(())
}

#[test]
fn an_api_server_that_cannot_be_reached_or_trusted_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let run = |kubeconfig: &str| run_host(folder.path(), HEAD, kubeconfig, &[]);
    let (code, output) = run(&kubeconfig_for("https://127.0.0.1:1", ""))?;
    assert_eq!(code, Some(1));
    assert!(
        output.starts_with("error: cannot reach the API server at https://127.0.0.1:1"),
        "{output}"
    );

    let (code, output) = run("clusters: [")?;
    assert_eq!(code, Some(1));
    assert!(output.starts_with("error: cannot use kubeconfig"), "{output}");

    // Plain HTTP behind an https address.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for stream in listener.incoming().flatten().take(4) {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let (code, output) = run(&kubeconfig_for(&format!("https://{address}"), ""))?;
    assert_eq!(code, Some(1));
    assert!(
        output.starts_with("error: no TLS connection to the API server"),
        "{output}"
    );
    Ok(())
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let kubeconfig = folder.path().join("kubeconfig");
    let arguments = [
        "up",
        "--listen",
        &address,
        "--kubeconfig",
        &kubeconfig.to_string_lossy(),
    ];
    let (code, output) = run(&arguments, folder.path())?;
    assert_eq!(code, Some(1));
    let expected =
        format!("error: cannot start the API server: cannot listen on {address}: the address is in use");
    assert!(output.starts_with(&expected), "{output}");
    Ok(())
}

#[test]
fn a_status_port_in_use_is_found_before_anything_runs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    // That nobody is there would be the next error.
    let flags = ["--status-address", &address];
    let (code, output) = run_host(folder.path(), HEAD, &kubeconfig_for(NOBODY, ""), &flags)?;
    assert_eq!(code, Some(1));
    let expected = format!("error: cannot serve status and metrics on {address}: the address is in use");
    assert!(output.starts_with(&expected), "{output}");
    Ok(())
}

#[tokio::test]
async fn an_api_server_of_an_unknown_authority_or_another_name_is_not_trusted() -> Result<()> {
    let cluster = Cluster::up(&["--nodes", "1", "--no-modules"]).await?;
    let folder = tempfile::tempdir()?;
    let text = std::fs::read_to_string(cluster.kubeconfig())?;
    let line = |key: &str| text.lines().find(|line| line.trim_start().starts_with(key));
    let authority = line("certificate-authority-data:").unwrap_or_default();
    assert!(!authority.is_empty(), "{text}");
    let another_name = format!(
        "{authority}\n{}tls-server-name: other.example",
        " ".repeat(authority.len() - authority.trim_start().len())
    );
    for replacement in ["", &another_name] {
        let kubeconfig = text.replace(authority, replacement);
        let (code, output) = run_host(folder.path(), HEAD, &kubeconfig, &[])?;
        assert_eq!(code, Some(1));
        assert!(
            output.starts_with("error: no TLS connection to the API server"),
            "{output}"
        );
    }
    Ok(())
}

#[test]
fn the_demo_shows_each_guest_at_work() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, output) = run(&["demo"], folder.path())?;
    assert_eq!(code, Some(0), "{output}");
    for guest in STOCK {
        assert!(output.contains(guest), "{guest} is not in\n{output}");
    }
    Ok(())
}

#[test]
fn types_are_generated_to_where_they_are_wanted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let definition = repository().join("sdk/go/examples/webapp/crd.yaml");
    let definition = definition.to_string_lossy();
    let generate = ["generate", "types", &definition, "--lang", "rust"];
    let (code, types) = run(&generate, folder.path())?;
    assert_eq!(code, Some(0), "{types}");
    assert!(
        types.contains(
            "windlass_sdk::object!(WebApp: \"examples.windlass.dev\", \"v1\", \"webapps\", \"WebApp\");"
        ),
        "{types}"
    );
    let out = folder.path().to_string_lossy();
    let (code, output) = run(&[&generate[..], &["--out", &out]].concat(), folder.path())?;
    assert_eq!(code, Some(0), "{output}");
    assert_eq!(
        std::fs::read_to_string(folder.path().join("resources.rs"))?.trim(),
        types
    );
    let (code, output) = run(&[&generate[..], &["--version", "v9"]].concat(), folder.path())?;
    assert_eq!(
        (code, output.as_str()),
        (
            Some(1),
            format!("error: {definition}: WebApp has no version v9: choose one of v1 with --version")
                .as_str()
        )
    );
    Ok(())
}

#[test]
fn inspect_tells_what_a_guest_is_and_needs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, output) = run(&["inspect", "replicaset"], folder.path())?;
    assert_eq!(code, Some(0), "{output}");
    for part in [
        "Contract:     windlass:controller@0.1.0",
        "replicasets.apps",
        "memory      64 MiB",
    ] {
        assert!(output.contains(part), "{part} is missing in:\n{output}");
    }
    let (code, output) = run(&["inspect", "replicaset", "--rbac"], folder.path())?;
    assert_eq!(code, Some(0), "{output}");
    assert!(
        output.starts_with("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole"),
        "{output}"
    );
    let (code, output) = run(&["inspect", "nothing"], folder.path())?;
    assert_eq!(
        (
            code,
            output.starts_with("error: \"nothing\" is neither a file nor a stock guest")
        ),
        (Some(1), true),
        "{output}"
    );
    Ok(())
}

#[test]
fn a_configuration_is_checked_printed_and_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("host.yaml");
    let path = file.to_string_lossy().into_owned();
    std::fs::write(&file, module("  limits: {memry: 5Mi}\n"))?;
    let (code, output) = run(&["config", "check", "-f", &path], folder.path())?;
    assert_eq!(code, Some(1));
    assert!(
        output.contains("line 6 column 12: unknown field `memry`, did you mean `memory`?"),
        "{output}"
    );
    assert_eq!(output.matches("memry").count(), 1, "said once: {output}");

    let (code, printed) = run(&["config", "print"], folder.path())?;
    assert_eq!(code, Some(0), "{printed}");
    std::fs::write(&file, &printed)?;
    let (code, output) = run(&["config", "check", "-f", &path], folder.path())?;
    assert_eq!((code, output), (Some(0), format!("{path} is valid: 4 modules")));
    let (_, again) = run(&["config", "print", "--config", &path], folder.path())?;
    assert_eq!(again, printed);

    let (code, output) = run(&["config", "schema"], folder.path())?;
    assert_eq!(code, Some(0));
    serde_json::from_str::<serde_json::Value>(&output)?;
    let (_, output) = run(&["config", "reference"], folder.path())?;
    assert!(output.starts_with("# Configuration"), "{output}");
    Ok(())
}

#[test]
fn rbac_prints_a_role_for_the_account_that_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, output) = run(&["rbac", "--service-account", "ops:host"], folder.path())?;
    assert_eq!(code, Some(0), "{output}");
    for part in [
        "kind: ServiceAccount",
        "kind: ClusterRole\n",
        "kind: RoleBinding",
        "namespace: ops",
    ] {
        assert!(output.contains(part), "{part} is missing in:\n{output}");
    }
    let (code, output) = run(&["rbac", "--service-account", "host"], folder.path())?;
    assert_ne!(code, Some(0));
    assert!(
        output.contains("write namespace and name, such as kube-system:windlass"),
        "{output}"
    );
    Ok(())
}

const PRINTING: [&[&str]; 8] = [
    &["completions", "bash"],
    &["config", "print"],
    &["config", "schema"],
    &["config", "reference"],
    &["inspect", "replicaset"],
    &["inspect", "replicaset", "--rbac"],
    &["rbac"],
    &["--help"],
];

#[test]
fn a_reader_that_has_gone_ends_a_command_quietly() -> Result<()> {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        assert_eq!(
            run_into(arguments, writer)?,
            (Some(0), String::new()),
            "{arguments:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_exit_code_of_a_status_that_nobody_reads_is_that_of_the_status() -> Result<()> {
    let cluster = Cluster::up(&["--no-modules", "--status-address", "127.0.0.1:0"]).await?;
    let address = status::address_of(&cluster.process).await?.to_string();
    for output in ["table", "wide", "json", "yaml"] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let arguments = ["status", "--address", &address, "--output", output];
        assert_eq!(run_into(&arguments, writer)?, (Some(0), String::new()));
    }
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let (code, errors) = run_into(&["status", "--address", "127.0.0.1:1"], writer)?;
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("error: no host to ask"), "{errors}");
    Ok(())
}

#[test]
fn output_that_cannot_be_written_is_an_error() -> Result<()> {
    for arguments in [&["config", "print"][..], &["completions", "zsh"], &["rbac"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full")?;
        let (code, errors) = run_into(arguments, full)?;
        assert_eq!(code, Some(1), "{arguments:?}");
        assert!(
            errors.starts_with("error: cannot write to standard output: No space left on device"),
            "{errors}"
        );
    }
    Ok(())
}

#[test]
fn a_cause_is_said_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, output) = run(&["run", "--config", "nowhere/host.yaml"], folder.path())?;
    assert_eq!(code, Some(1));
    assert_eq!(output.matches("No such file or directory").count(), 1, "{output}");

    let output = run_configuration(&module(""), &[])?;
    assert_eq!(output.matches("mine.wasm").count(), 1, "{output}");
    assert_eq!(output.matches("No such file or directory").count(), 1, "{output}");

    let output = run_configuration(&module(""), &[("mine.wasm", b"#!/bin/sh\n")])?;
    assert_eq!(
        output.matches("not a WebAssembly component").count(),
        1,
        "{output}"
    );

    let output = run_configuration(HEAD, &[])?;
    assert_eq!(output.matches("127.0.0.1:1").count(), 1, "{output}");
    Ok(())
}

#[test]
fn a_log_filter_that_would_silence_the_log_by_mistake_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (code, output) = run(&["config", "print", "--log", "debgu"], folder.path())?;
    assert_eq!(code, Some(2));
    assert!(
        output.contains("\"debgu\" is not a log filter; write a level"),
        "{output}"
    );
    let output = run_configuration(&format!("{HEAD}log: {{level: \"info,kube\"}}\n"), &[])?;
    assert!(
        output.starts_with("error: configuration host.yaml: log.level: \"kube\" is not a log filter"),
        "{output}"
    );
    Ok(())
}
