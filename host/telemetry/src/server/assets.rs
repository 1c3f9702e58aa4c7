//! The page and what it is made of, inside the binary.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    path: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static str,
    /// A strong entity tag, quoted.
    pub(crate) etag: String,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<[Asset; 7]> = LazyLock::new(|| {
    [
        asset(
            "/",
            "text/html; charset=utf-8",
            include_str!("../../assets/index.html"),
        ),
        asset(
            "/style.css",
            "text/css; charset=utf-8",
            include_str!("../../assets/style.css"),
        ),
        asset("/page.js", JAVASCRIPT, include_str!("../../assets/page.js")),
        asset("/views.js", JAVASCRIPT, include_str!("../../assets/views.js")),
        asset("/charts.js", JAVASCRIPT, include_str!("../../assets/charts.js")),
        asset("/format.js", JAVASCRIPT, include_str!("../../assets/format.js")),
        asset(
            "/icon.svg",
            "image/svg+xml",
            include_str!("../../assets/icon.svg"),
        ),
    ]
});

/// The asset at a path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

fn asset(path: &'static str, content_type: &'static str, content: &'static str) -> Asset {
    let digest = Sha256::digest(content.as_bytes());
    let short: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    Asset {
        path,
        content_type,
        content,
        etag: format!("\"{short}\""),
    }
}
