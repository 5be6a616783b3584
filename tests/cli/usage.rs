//! Arguments that are none, and the help.

use crate::Case;
use crate::kit::{fails, keyfs};

pub const CASES: &[Case] = &[
    ("bad_usage_is_one_line", bad_usage_is_one_line),
    ("the_help_lists_the_exit_codes", the_help_lists_the_exit_codes),
];

fn bad_usage_is_one_line() {
    let wrong: [(&[&str], &str); 8] = [
        (&[], "no command"),
        (&["frobnicate"], "frobnicate"),
        (&["mount"], "<DIR>"),
        (&["mount", "--nope", "/x"], "--nope"),
        (&["mount", "/x", "/y"], "/y"),
        (&["mount", "--store"], "--store"),
        (&["umount"], "<DIR>"),
        (&["status", "--jsn"], "--jsn"),
    ];
    for (arguments, word) in wrong {
        fails(&keyfs(arguments), 2, &[word, "--help"]);
    }
}

fn the_help_lists_the_exit_codes() {
    for arguments in [&["--help"][..], &["help"]] {
        let output = keyfs(arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        for code in 0..=10 {
            assert!(text.contains(&format!("\n {code:>2}  ")), "{code}: {text}");
        }
    }
    for command in ["mount", "umount", "status"] {
        let output = keyfs(&[command, "--help"]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    }
    assert_eq!(keyfs(&["--version"]).stdout, format!("keyfs {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}
