//! How a browser is shown the way in without the token on its command line, which every user of the machine can read: it is
//! started with a private file that sends it on.
//!
//! Invariant: the file is its owner's alone from the moment that it is there, and is gone when its [`Redirect`] is.
//!
//! It deliberately chooses no browser: what is there to open files with is its caller's to know.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file that sends a browser on.
#[derive(Debug)]
pub struct Redirect(PathBuf);

impl Redirect {
    /// Writes one for this link into a directory, under a name that nobody can guess.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn write(directory: &Path, link: &str) -> io::Result<Redirect> {
        let mut chance = [0; 8];
        getrandom::getrandom(&mut chance).map_err(io::Error::from)?;
        let path = directory.join(format!("keyfs-dashboard-{:016x}.html", u64::from_ne_bytes(chance)));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        let redirect = Redirect(path);
        // The link is of our own making: a host that was checked, and base64.
        write!(
            file,
            "<!doctype html>\n<meta charset=\"utf-8\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
             <meta http-equiv=\"refresh\" content=\"0; url={link}\">\n<title>keyfs</title>\n"
        )?;
        Ok(redirect)
    }

    /// Starts a program with the file.
    ///
    /// # Errors
    ///
    /// That it can't be started.
    pub fn open_with(&self, program: &OsStr) -> io::Result<()> {
        let mut command = Command::new(program);
        command.arg(&self.0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        // It may run as long as the browser does.
        std::thread::Builder::new().name("browser".into()).spawn(move || child.wait())?;
        Ok(())
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_private_and_goes() {
        let directory = tempfile::tempdir().unwrap();
        let redirect = Redirect::write(directory.path(), "http://127.0.0.1:1/#token=t").unwrap();
        let path = redirect.0.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().contains("0; url=http://127.0.0.1:1/#token=t\""));
        drop(redirect);
        assert!(!path.exists());
    }
}
