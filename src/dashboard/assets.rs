//! The page's files, in the program itself.
//!
//! Invariant: the table names every file of `page/` that a browser is to get, and nothing else (a test compares).
//!
//! It deliberately compresses nothing else that is sent: these are public, and the length of what is not would tell of it.

use std::io::Write;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A file as it is served.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name below `/page/`.
    name: &'static str,
    pub(super) content: &'static [u8],
}

/// Files below `page/`.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset { name: $name, content: include_bytes!(concat!("page/", $name)) }),*]
    };
}

#[rustfmt::skip] // one on a line
const ASSETS: &[Asset] = assets![
    "index.html",
    "icon.svg",
    "style.css",
    "list.css",
    "forms.css",
    "matrix.css",
    "api.js",
    "app.js",
    "dialog.js",
    "cells.js",
    "details.js",
    "expression.js",
    "grid.js",
    "list.js",
    "menu.js",
    "row-menu.js",
    "rows-link.js",
    "rows.js",
    "rows.worker.js",
    "toolbar.js",
    "live.js",
    "renew.js",
    "session.js",
    "state.js",
    "theme.js",
    "toast.js",
    "words.js",
    "accounts.js",
    "combobox.js",
    "diff.js",
    "drafts.js",
    "final.js",
    "form-model.js",
    "form-view.js",
    "form.js",
    "history.js",
    "permissions.js",
    "remove.js",
    "removed.js",
    "review.js",
    "value-field.js",
    "choose.js",
    "clipboard.js",
    "copy.js",
    "drop.js",
    "export.js",
    "import.js",
    "matrix-edit.js",
    "matrix-model.js",
    "matrix.js",
    "plan.js",
    "undo.js",
    "virtual.js",
    "vendor/diff/diff/base.js",
    "vendor/diff/diff/line.js",
    "vendor/diff/util/params.js",
    "vendor/directive-helpers.js",
    "vendor/directive.js",
    "vendor/directives/repeat.js",
    "vendor/lit-html.js",
];

/// Each of them compressed, from the first time on that somebody wants it so.
static COMPRESSED: [OnceLock<Vec<u8>>; ASSETS.len()] = [const { OnceLock::new() }; ASSETS.len()];

/// What a browser is told of a file, by the ending of its name.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
];

impl Asset {
    pub(super) fn media_type(&self) -> &'static str {
        let ending = self.name.rsplit('.').next();
        let known = TYPES.iter().find(|(known, _)| ending == Some(known));
        known.map_or("application/octet-stream", |(_, media_type)| media_type)
    }
}

/// What is at a path, if anything.
pub(super) fn at(path: &str) -> Option<&'static Asset> {
    position(path).and_then(|position| ASSETS.get(position))
}

/// The same, as gzip has it.
pub(super) fn compressed_at(path: &str) -> Option<&'static [u8]> {
    let position = position(path)?;
    let content = ASSETS.get(position)?.content;
    Some(COMPRESSED.get(position)?.get_or_init(|| compressed(content).unwrap_or_default()))
}

fn position(path: &str) -> Option<usize> {
    let name = match path {
        "/" => "index.html",
        _ => path.strip_prefix("/page/").filter(|name| *name != "index.html")?,
    };
    ASSETS.iter().position(|asset| asset.name == name)
}

fn compressed(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Files for those who read the project, not for browsers.
    fn is_served(name: &str) -> bool {
        !name.ends_with(".md")
    }

    fn names(directory: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in directory.read_dir().unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                names(&entry.path(), &format!("{name}/"), found);
            } else if is_served(&name) {
                found.push(name);
            }
        }
    }

    #[test]
    fn the_table_is_the_folder() {
        let mut there = Vec::new();
        names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/page"), "", &mut there);
        there.sort();
        let mut served: Vec<_> = ASSETS.iter().map(|asset| asset.name).collect();
        served.sort_unstable();
        assert_eq!(there, served);
    }

    #[test]
    fn each_file_has_a_type() {
        for asset in ASSETS {
            assert_ne!(asset.media_type(), "application/octet-stream", "{}", asset.name);
        }
    }

    #[test]
    fn the_page_is_small_on_the_wire() {
        let length =
            |asset: &Asset| compressed_at(&format!("/page/{}", asset.name)).map_or(asset.content.len(), <[u8]>::len);
        let all: usize = ASSETS.iter().map(length).sum();
        assert!(all < 150_000, "{all} bytes");
    }

    #[test]
    fn what_is_compressed_is_the_same() {
        let path = "/";
        let mut content = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(compressed_at(path).unwrap());
        std::io::Read::read_to_end(&mut decoder, &mut content).unwrap();
        assert_eq!(content, at(path).unwrap().content);
        assert_eq!(compressed_at("/page/none.css"), None);
    }

    #[test]
    fn a_path_is_a_name_of_the_table_or_nothing() {
        assert_eq!(at("/").unwrap().name, "index.html");
        for path in ["", "/page/", "/page/index.html", "/page/../index.html", "/index.html", "/page//index.html"] {
            assert!(at(path).is_none(), "{path}");
        }
    }
}
