//! The page's files, in the program itself.
//!
//! Invariant: the table names every file of `page/` that a browser is to get, and nothing else (a test compares).
//!
//! It deliberately compresses nothing while it runs: these are public, and were compressed when the program was built; the
//! length of what is not would tell of it.

/// A file as it is served.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its name below `/page/`.
    name: &'static str,
    plain: &'static [u8],
    brotli: &'static [u8],
    gzip: &'static [u8],
}

/// Files below `page/`, and what `build.rs` made of them.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(Asset {
            name: $name,
            plain: include_bytes!(concat!("page/", $name)),
            brotli: include_bytes!(concat!(env!("OUT_DIR"), "/page/", $name, ".br")),
            gzip: include_bytes!(concat!(env!("OUT_DIR"), "/page/", $name, ".gz")),
        }),*]
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
    "names.js",
    "press.js",
    "row-menu.js",
    "rows-link.js",
    "rows.js",
    "rows.worker.js",
    "toolbar.js",
    "live.js",
    "renew.js",
    "session.js",
    "spelling.js",
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

    /// Whether it is part of a page, and can't be one itself nor run on its own as a worker can.
    pub(super) fn is_part(&self) -> bool {
        !self.name.ends_with(".html") && !self.name.ends_with(".worker.js")
    }

    /// Its content in the shortest of the codings that a browser takes, and that coding's name; none is as it is. A coding with a
    /// weight is the odd program that wants something else.
    pub(super) fn content(&self, taken: &str) -> (&'static [u8], Option<&'static str>) {
        let takes = |coding: &str| taken.split(',').any(|one| one.trim().eq_ignore_ascii_case(coding));
        match () {
            () if takes("br") => (self.brotli, Some("br")),
            () if takes("gzip") => (self.gzip, Some("gzip")),
            () => (self.plain, None),
        }
    }
}

/// What is at a path, if anything.
pub(super) fn at(path: &str) -> Option<&'static Asset> {
    let name = match path {
        "/" => "index.html",
        _ => path.strip_prefix("/page/").filter(|name| *name != "index.html")?,
    };
    ASSETS.iter().find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
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
        let length = |coding: &str| ASSETS.iter().map(|asset| asset.content(coding).0.len()).sum::<usize>();
        assert!(length("br") < 130_000, "{} bytes", length("br"));
        assert!(length("gzip") < 150_000, "{} bytes", length("gzip"));
    }

    #[test]
    fn what_is_compressed_is_the_same() {
        for asset in ASSETS {
            let (mut from_brotli, mut from_gzip) = (Vec::new(), Vec::new());
            brotli::BrotliDecompress(&mut &*asset.brotli, &mut from_brotli).unwrap();
            flate2::read::GzDecoder::new(asset.gzip).read_to_end(&mut from_gzip).unwrap();
            assert_eq!((&*from_brotli, &*from_gzip), (asset.plain, asset.plain), "{}", asset.name);
        }
    }

    #[test]
    fn a_coding_is_one_that_was_asked_for() {
        let coding = |taken| at("/").unwrap().content(taken).1;
        assert_eq!(coding("gzip, deflate, br, zstd"), Some("br"));
        assert_eq!(coding("GZIP,deflate"), Some("gzip"));
        for taken in ["", "identity", "br;q=0, gzip;q=0", "*", "brotli"] {
            assert_eq!(coding(taken), None, "{taken}");
        }
    }

    #[test]
    fn a_path_is_a_name_of_the_table_or_nothing() {
        assert_eq!(at("/").unwrap().name, "index.html");
        for path in ["", "/page/", "/page/index.html", "/page/../index.html", "/index.html", "/page//index.html"] {
            assert!(at(path).is_none(), "{path}");
        }
    }
}
