//! The terminal as a screen: raw keys in, frames out, and everything as it was at the end.

use std::io::{self, IsTerminal, Write};
use std::thread::JoinHandle;

use rustix::termios::{OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::sync::mpsc;

/// Alternate screen, no cursor.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l";
const LEAVE: &str = "\u{1b}[?25h\u{1b}[?1049l";
/// Tenths of a second after which a read returns without a key.
const READ_TIMEOUT: u8 = 1;
/// Keys that nobody has taken yet; more are not read.
const TYPED_AHEAD: usize = 16;

/// A terminal that was taken over. Dropping it gives it back.
pub(super) struct Screen {
    keys: mpsc::Receiver<u8>,
    reader: Option<JoinHandle<()>>,
    before: Termios,
}

impl Screen {
    /// Takes the terminal over; an error if there is none.
    pub(super) fn enter() -> io::Result<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(io::Error::other("standard input and output are not a terminal"));
        }
        let stdin = rustix::stdio::stdin();
        let before = tcgetattr(stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = READ_TIMEOUT;
        tcsetattr(stdin, OptionalActions::Flush, &raw)?;
        let (sender, keys) = mpsc::channel(TYPED_AHEAD);
        // From here on dropping it restores the terminal.
        let mut screen = Self {
            keys,
            reader: None,
            before,
        };
        let reader = std::thread::Builder::new().name("keys".to_owned());
        screen.reader = Some(reader.spawn(move || read_keys(&sender))?);
        show(ENTER)?;
        Ok(screen)
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(rustix::stdio::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
            _ => (80, 24),
        }
    }

    /// The next key; nothing when the terminal has gone. Cancelling loses none.
    pub(super) async fn key(&mut self) -> Option<u8> {
        self.keys.recv().await
    }

    /// Draws over what was there, so that nothing flickers.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let mut frame = String::from("\u{1b}[H");
        for (index, line) in lines.iter().enumerate() {
            let end = if index + 1 < lines.len() { "\r\n" } else { "" };
            frame.push_str(line);
            frame.push_str("\u{1b}[K");
            frame.push_str(end);
        }
        frame.push_str("\u{1b}[J");
        show(&frame)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.keys.close();
        if let Some(reader) = self.reader.take() {
            // It sees the closed channel within the time-out of a read.
            let _ = reader.join();
        }
        // There is nobody left to tell of a terminal that has gone.
        let _ = show(LEAVE);
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &self.before);
    }
}

/// Reads until nobody listens or the terminal has gone. A thread of its own, since
/// nothing else can wait for a terminal without making it non-blocking for everybody.
fn read_keys(sender: &mpsc::Sender<u8>) {
    while !sender.is_closed() {
        let mut keys = [0_u8; 16];
        let Ok(read) = rustix::io::read(rustix::stdio::stdin(), &mut keys[..]) else {
            return;
        };
        for key in keys.iter().take(read) {
            if sender.blocking_send(*key).is_err() {
                return;
            }
        }
    }
}

fn show(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
