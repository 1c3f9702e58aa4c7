//! A real Chromium without a window, driven by the DevTools protocol over its pipe:
//! JSON messages ended by a zero byte, on descriptors 3 and 4.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// When a browser that does not answer is given up.
const PATIENCE: Duration = Duration::from_secs(60);

/// One page in a browser of its own. Dropping it ends the browser.
pub(crate) struct Page {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    calls: u64,
    /// Console errors, exceptions and the like.
    pub(crate) complaints: Vec<String>,
    /// URLs that the page asked for.
    pub(crate) requests: Vec<String>,
    _browser: Child,
    _profile: TempDir,
}

impl Page {
    /// Starts a browser with an empty page of this width.
    pub(crate) async fn open(width: u32) -> anyhow::Result<Self> {
        let profile = tempfile::tempdir()?;
        let mut browser = command(profile.path())?
            .spawn()
            .context("cannot start chromium")?;
        let mut page = Self {
            input: browser.stdin.take().context("no pipe")?,
            output: BufReader::new(browser.stdout.take().context("no pipe")?),
            session: None,
            calls: 0,
            complaints: Vec::new(),
            requests: Vec::new(),
            _browser: browser,
            _profile: profile,
        };
        let target = page
            .call("Target.createTarget", json!({"url": "about:blank"}))
            .await?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = page.call("Target.attachToTarget", attach).await?;
        page.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({})).await?;
        }
        page.resize(width).await?;
        Ok(page)
    }

    pub(crate) async fn resize(&mut self, width: u32) -> anyhow::Result<()> {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(())
    }

    /// What the page is told that the person prefers: `light` or `dark`.
    pub(crate) async fn prefer(&mut self, scheme: &str) -> anyhow::Result<()> {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await?;
        Ok(())
    }

    pub(crate) async fn go(&mut self, url: &str) -> anyhow::Result<()> {
        let gone = self.call("Page.navigate", json!({"url": url})).await?;
        anyhow::ensure!(gone["errorText"].is_null(), "{url}: {}", gone["errorText"]);
        // Navigating answers once the new document is there, not once it is read.
        self.until("document.readyState === 'complete'").await
    }

    /// The value of an expression; promises are awaited.
    pub(crate) async fn value(&mut self, expression: &str) -> anyhow::Result<Value> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked).await?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{expression}: {thrown}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits for a condition to become true, looking at it with each frame.
    pub(crate) async fn until(&mut self, condition: &str) -> anyhow::Result<()> {
        let wait = format!(
            "(async () => {{ while (!({condition})) await new Promise((next) => setTimeout(next, 16)); return true; }})()"
        );
        self.value(&wait)
            .await
            .with_context(|| format!("waiting for {condition}"))?;
        Ok(())
    }

    /// Presses and releases a key.
    pub(crate) async fn press(&mut self, key: &str, code: u32) -> anyhow::Result<()> {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Takes a picture of the upper part of the page, for people to look at.
    pub(crate) async fn picture(&mut self, name: &str) -> anyhow::Result<()> {
        let size = self
            .value("[innerWidth, Math.min(2000, document.documentElement.scrollHeight)]")
            .await?;
        let clip = json!({"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1});
        let asked = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let answer = self.call("Page.captureScreenshot", asked).await?;
        let decoded = decode(answer["data"].as_str().unwrap_or_default());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("status-page");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), decoded)?;
        Ok(())
    }

    async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input.write_all(&bytes).await?;
        tokio::time::timeout(PATIENCE, self.answer(id))
            .await
            .with_context(|| format!("chromium did not answer {method}"))?
    }

    async fn answer(&mut self, id: u64) -> anyhow::Result<Value> {
        loop {
            let mut bytes = Vec::new();
            self.output.read_until(0, &mut bytes).await?;
            anyhow::ensure!(bytes.pop() == Some(0), "chromium ended");
            let mut message: Value = serde_json::from_slice(&bytes)?;
            if message["id"] != id {
                self.note(&message);
                continue;
            }
            anyhow::ensure!(message["error"].is_null(), "{}", message["error"]);
            return Ok(message["result"].take());
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => self.complaints.push(params["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled" => self.complaints.push(params["args"].to_string()),
            "Log.entryAdded" => self.complaints.push(params["entry"].to_string()),
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                self.requests.push(url.to_owned());
            }
            _ => {}
        }
    }
}

fn command(profile: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new("sh");
    // The pipes that a child can be given are standard input and output; the browser
    // wants them as descriptors 3 and 4.
    command
        .args([
            "-c",
            "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
            "chromium",
        ])
        .args([
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--hide-scrollbars",
            // Nothing but this machine has a name or an address.
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    // Its sandbox refuses to be run by root.
    if std::fs::metadata("/proc/self")?.uid() == 0 {
        command.arg("--no-sandbox");
    }
    command.arg("about:blank");
    Ok(command)
}

/// Base64 without padding rules: what comes from the browser is well formed.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut decoded, mut bits, mut held) = (Vec::with_capacity(text.len() * 3 / 4), 0_u32, 0);
    for byte in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|letter| *letter == byte) else {
            continue;
        };
        bits = (bits << 6) | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push((bits >> held) as u8);
        }
    }
    decoded
}
