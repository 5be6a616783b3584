//! Counts and latencies of requests, for `.keyfs/metrics`.
//!
//! Invariant: counting takes no lock, and no memory that grows.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the latency buckets, in microseconds.
const BUCKETS: [u64; 12] = [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 100_000, 1_000_000];

macro_rules! operations {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// What the kernel asks for.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(super) enum Operation { $($name),* }

        const OPERATIONS: &[&str] = &[$($text),*];
    };
}

operations! {
    Lookup = "lookup",
    Getattr = "getattr",
    Setattr = "setattr",
    Mknod = "mknod",
    Mkdir = "mkdir",
    Unlink = "unlink",
    Rmdir = "rmdir",
    Rename = "rename",
    Open = "open",
    Read = "read",
    Write = "write",
    Flush = "flush",
    Release = "release",
    Fsync = "fsync",
    Opendir = "opendir",
    Readdir = "readdir",
    Statfs = "statfs",
    Setxattr = "setxattr",
    Getxattr = "getxattr",
    Listxattr = "listxattr",
    Removexattr = "removexattr",
    Create = "create",
}

#[derive(Default)]
struct Counts {
    errors: AtomicU64,
    nanoseconds: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len() + 1],
}

/// The counts of all operations since the start.
pub(super) struct Metrics(Vec<Counts>);

impl Metrics {
    pub(super) fn new() -> Metrics {
        Metrics(OPERATIONS.iter().map(|_| Counts::default()).collect())
    }

    pub(super) fn count(&self, operation: Operation, took: Duration, ok: bool) {
        let Some(counts) = self.0.get(operation as usize) else { return };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let place = BUCKETS.partition_point(|end| *end < micros);
        if let Some(bucket) = counts.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        counts.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(0), Ordering::Relaxed);
        if !ok {
            counts.errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All of it in the Prometheus text format, <https://prometheus.io/docs/instrumenting/exposition_formats/>.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        text.push_str("# HELP keyfs_request_duration_seconds Time to answer a request of the kernel.\n");
        text.push_str("# TYPE keyfs_request_duration_seconds histogram\n");
        for (name, counts) in OPERATIONS.iter().zip(&self.0) {
            let mut total = 0;
            for (place, bucket) in counts.buckets.iter().enumerate() {
                total += bucket.load(Ordering::Relaxed);
                let end = BUCKETS.get(place).map_or("+Inf".to_owned(), |end| (*end as f64 / 1e6).to_string());
                // Writing to a string can't fail.
                let _ = writeln!(
                    text,
                    "keyfs_request_duration_seconds_bucket{{operation=\"{name}\",le=\"{end}\"}} {total}"
                );
            }
            let seconds = counts.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
            let _ = writeln!(text, "keyfs_request_duration_seconds_sum{{operation=\"{name}\"}} {seconds}");
            let _ = writeln!(text, "keyfs_request_duration_seconds_count{{operation=\"{name}\"}} {total}");
        }
        text.push_str("# HELP keyfs_request_errors_total Requests that were answered with an error.\n");
        text.push_str("# TYPE keyfs_request_errors_total counter\n");
        for (name, counts) in OPERATIONS.iter().zip(&self.0) {
            let errors = counts.errors.load(Ordering::Relaxed);
            let _ = writeln!(text, "keyfs_request_errors_total{{operation=\"{name}\"}} {errors}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_add_up() {
        let metrics = Metrics::new();
        metrics.count(Operation::Read, Duration::from_micros(10), true);
        metrics.count(Operation::Read, Duration::from_micros(11), false);
        metrics.count(Operation::Read, Duration::from_secs(5), true);
        let text = metrics.text();
        let line = |rest: &str| text.lines().find(|line| line.contains(rest)).unwrap().to_owned();
        assert!(line("bucket{operation=\"read\",le=\"0.00001\"}").ends_with(" 1"));
        assert!(line("bucket{operation=\"read\",le=\"0.000025\"}").ends_with(" 2"));
        assert!(line("bucket{operation=\"read\",le=\"1\"}").ends_with(" 2"));
        assert!(line("bucket{operation=\"read\",le=\"+Inf\"}").ends_with(" 3"));
        assert!(line("count{operation=\"read\"}").ends_with(" 3"));
        assert!(line("errors_total{operation=\"read\"}").ends_with(" 1"));
    }
}
