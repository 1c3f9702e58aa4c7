//! What the program in a simulated container does, guessed from its image and command.
//!
//! Understands `exit N`, `sleep N`, `true` and `false`, alone or in a `sh -c` script with
//! `;`, `&&` and line breaks; every other command of a script succeeds at once. Images
//! without a command run for ever, unless the pod belongs to a Job or the image is a
//! well-known one whose program ends by itself.
//! Deliberately not done: variables, branches, files, or anything else of a shell.

use std::time::Duration;

use crate::pod::{ContainerSpec, RestartPolicy};

/// What a program does once it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Runs until it is told to stop.
    Forever,
    /// Ends by itself.
    Exits {
        /// Exit code.
        code: i32,
        /// How long it runs.
        after: Duration,
    },
}

/// Why an image cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageProblem {
    /// The reference is malformed: never tried again.
    InvalidName,
    /// The registry does not have it, or is not there.
    NotPullable,
    /// It is not there and must not be pulled.
    NeverPulled,
}

/// What kind of pod and container a program runs in; decides what happens without a command.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// When the container is started again.
    pub restart_policy: RestartPolicy,
    /// Whether the pod belongs to a Job, or the container must end for others to start.
    pub runs_to_completion: bool,
    /// How long a program runs that ends by itself.
    pub run_time: Duration,
}

const ENDING_IMAGES: [&str; 3] = ["alpine", "busybox", "hello-world"];

impl Program {
    /// The program of a container.
    #[must_use]
    pub fn of(container: &ContainerSpec, setting: Setting) -> Self {
        let words: Vec<&str> = container
            .command
            .iter()
            .chain(&container.args)
            .map(String::as_str)
            .collect();
        if let Some(program) = parse_command(&words) {
            return program;
        }
        let name = image_name(&container.image);
        let ends = setting.runs_to_completion && name != "pause"
            || container.command.is_empty()
                && ENDING_IMAGES.contains(&name)
                && setting.restart_policy != RestartPolicy::Always;
        if ends {
            Self::Exits {
                code: 0,
                after: setting.run_time,
            }
        } else {
            Self::Forever
        }
    }
}

/// Whether a probe's command succeeds.
#[must_use]
pub fn probe_succeeds(command: &[String]) -> bool {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    !matches!(parse_command(&words), Some(Program::Exits { code, .. }) if code != 0)
}

/// Why an image cannot be run, if it cannot: malformed references, the tags
/// `nonexistent` and `404`, and registries named `invalid.…` or `….invalid`.
#[must_use]
pub fn image_problem(container: &ContainerSpec) -> Option<ImageProblem> {
    let image = container.image.as_str();
    if !is_reference(image) {
        return Some(ImageProblem::InvalidName);
    }
    let (path, tag) = split_tag(image);
    let registry = path.split_once('/').map_or("", |(first, _)| first);
    let host = registry.split(':').next().unwrap_or_default();
    let missing = matches!(tag, "nonexistent" | "non-existent" | "404")
        || host == "invalid"
        || host.starts_with("invalid.")
        || host.ends_with(".invalid");
    if !missing {
        return None;
    }
    Some(if container.image_pull_policy == "Never" {
        ImageProblem::NeverPulled
    } else {
        ImageProblem::NotPullable
    })
}

fn parse_command(words: &[&str]) -> Option<Program> {
    let (program, arguments) = words.split_first()?;
    match (program.rsplit('/').next().unwrap_or_default(), arguments) {
        ("sh" | "bash" | "ash", ["-c" | "-ec" | "-xc" | "-exc", script, ..]) => Some(parse_script(script)),
        (name, arguments) => parse_simple(name, arguments),
    }
}

/// One command; nothing if it is not a known one.
fn parse_simple(name: &str, arguments: &[&str]) -> Option<Program> {
    let ends = |code, after| Some(Program::Exits { code, after });
    match (name, arguments) {
        ("true" | ":", _) => ends(0, Duration::ZERO),
        ("false", _) => ends(1, Duration::ZERO),
        ("exit", []) => ends(0, Duration::ZERO),
        ("exit", [code, ..]) => ends(code.parse::<u8>().ok()?.into(), Duration::ZERO),
        ("sleep", ["infinity" | "inf", ..]) => Some(Program::Forever),
        ("sleep", [time, ..]) => ends(0, parse_sleep(time)?),
        _ => None,
    }
}

fn parse_script(script: &str) -> Program {
    let mut elapsed = Duration::ZERO;
    let mut last_code = 0;
    for line in script.split([';', '\n']) {
        for command in line.split("&&") {
            let words: Vec<&str> = command.split_whitespace().collect();
            let Some((name, arguments)) = words.split_first() else {
                continue;
            };
            match parse_simple(name, arguments) {
                Some(Program::Forever) => return Program::Forever,
                Some(Program::Exits { code, after }) => {
                    elapsed = elapsed.saturating_add(after);
                    last_code = code;
                }
                None => last_code = 0,
            }
            if *name == "exit" {
                return Program::Exits {
                    code: last_code,
                    after: elapsed,
                };
            }
            if last_code != 0 {
                break;
            }
        }
    }
    Program::Exits {
        code: last_code,
        after: elapsed,
    }
}

fn parse_sleep(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let seconds: f64 = number.parse().ok()?;
    let factor = match unit {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds * factor).ok()
}

fn split_tag(image: &str) -> (&str, &str) {
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, tag),
        _ => (image, ""),
    }
}

fn image_name(image: &str) -> &str {
    split_tag(image).0.rsplit('/').next().unwrap_or_default()
}

/// Whether the text follows the grammar of image references, as far as it is checked here.
fn is_reference(image: &str) -> bool {
    let (path, tag) = split_tag(image);
    let (registry, name) = match path.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => ("", path),
    };
    let component = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
    };
    name.split('/').all(component)
        && registry
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-'))
        && tag
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && (!image.contains(':') || !image.ends_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Setting = Setting {
        restart_policy: RestartPolicy::Never,
        runs_to_completion: true,
        run_time: Duration::from_millis(100),
    };
    const SERVER: Setting = Setting {
        restart_policy: RestartPolicy::Always,
        runs_to_completion: false,
        run_time: Duration::from_millis(100),
    };

    fn container(image: &str, command: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: image.into(),
            command: command.iter().map(ToString::to_string).collect(),
            ..ContainerSpec::default()
        }
    }

    fn exits(code: i32, seconds: u64) -> Program {
        Program::Exits {
            code,
            after: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn commands_decide_how_a_program_ends() {
        let cases: [(&[&str], Program); 10] = [
            (&["sh", "-c", "exit 42"], exits(42, 0)),
            (&["/bin/sh", "-c", "exit 0"], exits(0, 0)),
            (&["sleep", "5"], exits(0, 5)),
            (&["sleep", "2m"], exits(0, 120)),
            (&["sleep", "infinity"], Program::Forever),
            (&["/bin/true"], exits(0, 0)),
            (&["/bin/false"], exits(1, 0)),
            (&["sh", "-c", "echo hello; sleep 3; exit 7; sleep 9"], exits(7, 3)),
            (&["sh", "-c", "false && sleep 100"], exits(1, 0)),
            (&["sh", "-c", "sleep 1\nsleep infinity"], Program::Forever),
        ];
        for (command, program) in cases {
            assert_eq!(
                Program::of(&container("busybox", command), SERVER),
                program,
                "{command:?}"
            );
        }
    }

    #[test]
    fn without_a_command_servers_run_and_jobs_end() {
        assert_eq!(
            Program::of(&container("nginx:1.27", &[]), SERVER),
            Program::Forever
        );
        let ended = Program::Exits {
            code: 0,
            after: JOB.run_time,
        };
        assert_eq!(
            Program::of(&container("perl", &["perl", "-wle", "print 1"]), JOB),
            ended
        );
        assert_eq!(
            Program::of(&container("registry.k8s.io/pause:3.10", &[]), JOB),
            Program::Forever
        );
        assert_eq!(Program::of(&container("busybox", &[]), SERVER), Program::Forever);
        let once = Setting {
            runs_to_completion: false,
            ..JOB
        };
        assert_eq!(Program::of(&container("busybox", &[]), once), ended);
        assert_eq!(Program::of(&container("httpd", &[]), once), Program::Forever);
    }

    #[test]
    fn images_fail_by_name() {
        let problem = |image: &str| image_problem(&container(image, &[]));
        for image in [
            "nginx",
            "nginx:1.27",
            "registry.k8s.io/e2e/agnhost:2.5",
            "localhost:5000/a/b@sha256:00ff",
        ] {
            assert_eq!(problem(image), None, "{image}");
        }
        for image in [
            "redis:nonexistent",
            "webserver:404",
            "invalid.registry.k8s.io/x/y:1",
            "a.invalid/b",
        ] {
            assert_eq!(problem(image), Some(ImageProblem::NotPullable), "{image}");
        }
        for image in ["", "UPPER", "a b", "nginx:", "a//b", "-x"] {
            assert_eq!(problem(image), Some(ImageProblem::InvalidName), "{image}");
        }
        let never = ContainerSpec {
            image_pull_policy: "Never".into(),
            ..container("redis:nonexistent", &[])
        };
        assert_eq!(image_problem(&never), Some(ImageProblem::NeverPulled));
    }

    #[test]
    fn probes_fail_by_their_command() {
        let command = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(!probe_succeeds(&command(&["/bin/false"])));
        assert!(!probe_succeeds(&command(&["sh", "-c", "exit 3"])));
        assert!(probe_succeeds(&command(&["cat", "/tmp/health"])));
    }
}
