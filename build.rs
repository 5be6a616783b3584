//! Compresses the dashboard's page: beside each of its files stand, in the build's own folder, the same as brotli and as gzip
//! have it, for `src/dashboard/assets.rs` to put into the program.
//!
//! It deliberately changes none of them otherwise: what a browser runs is what stands in `src/dashboard/page`, as it stands there.

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

const PAGE: &str = "src/dashboard/page";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PAGE}");
    let place = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo gives no OUT_DIR")?);
    compress_below(Path::new(PAGE), &place.join("page"))
}

fn compress_below(directory: &Path, place: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(place)?;
    for entry in directory.read_dir()? {
        let entry = entry?;
        let target = place.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            compress_below(&entry.path(), &target)?;
        } else {
            let content = fs::read(entry.path())?;
            fs::write(with_ending(&target, ".br"), brotli(&content)?)?;
            fs::write(with_ending(&target, ".gz"), gzip(&content)?)?;
        }
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn brotli(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams { quality: 11, size_hint: content.len(), ..Default::default() };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &params)?;
    Ok(compressed)
}

fn gzip(content: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    encoder.finish()
}
