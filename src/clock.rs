//! Time as the store keeps it, and where it comes from.
//!
//! Invariant: nothing but [`SystemClock`] reads the machine's clock, so that a test can set it.
//!
//! It deliberately has no time zones: times are shown in UTC.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: nanoseconds since 1970-01-01T00:00:00Z, from the year 1677 to 2262. What lies beyond is kept as the
/// nearest moment within.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The moment that RFC 3339 text names, such as `2027-01-31T12:00:00Z`.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let moment: jiff::Timestamp = text.parse().ok()?;
        i64::try_from(moment.as_nanosecond()).ok().map(Timestamp)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        let clamp = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Timestamp(clamp(after)),
            Err(before) => Timestamp(-clamp(before.duration())),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        let distance = Duration::from_nanos(time.0.unsigned_abs());
        if time.0 >= 0 { UNIX_EPOCH + distance } else { UNIX_EPOCH - distance }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{} ns after 1970", self.0),
        }
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// A clock that stands until it is set; each reading moves it on by a microsecond, so that events keep an order.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(start.0))
    }

    /// Moves the clock on.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_nanos()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_system_time_round_trip() {
        let time = Timestamp::parse("2027-01-31T12:00:00.123456789Z").unwrap();
        assert_eq!(time.to_string(), "2027-01-31T12:00:00.123456789Z");
        assert_eq!(Timestamp::from(SystemTime::from(time)), time);
        let before = Timestamp(-1_500_000_000);
        assert_eq!(Timestamp::from(SystemTime::from(before)), before);
        assert_eq!(Timestamp::parse("tomorrow"), None);
        assert_eq!(Timestamp::parse("2027-01-31T12:00:00"), None);
    }
}
