//! The guests that ship inside the binary.

use anyhow::bail;

include!(concat!(env!("OUT_DIR"), "/stock_guests.rs"));

/// The component bytes of a stock guest; nothing when no stock guest has that name.
pub(crate) fn find(name: &str) -> Option<anyhow::Result<&'static [u8]>> {
    let (_, bytes) = GUESTS.iter().find(|(guest, _)| *guest == name)?;
    Some(if bytes.is_empty() {
        missing(name)
    } else {
        Ok(bytes)
    })
}

/// The same, for [`windlass_manager::sources::Sources`].
pub(crate) fn bytes(name: &str) -> Option<Result<&'static [u8], String>> {
    find(name).map(|found| found.map_err(|error| error.to_string()))
}

/// Their names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GUESTS.iter().map(|(name, _)| *name)
}

fn missing(name: &str) -> anyhow::Result<&'static [u8]> {
    bail!(
        "this binary was built without the stock guest {name:?}; build it with `make build`, which compiles the guests first"
    )
}
