//! Connections as they stand: strangers', and those on which somebody has shown a session.
//!
//! Invariants:
//! - Where there is no room for another, the stranger who came first goes; whoever has shown a session stays.
//! - On a connection that has to go nothing is begun: it is a stranger's until it is somebody's or leaves, never both.
//! - A stranger has a connection for [`STRANGER`] at most, however slowly it sends or reads.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// How long a connection lasts on which nobody has shown a session.
const STRANGER: Duration = Duration::from_secs(20);

/// One of them.
#[derive(Debug)]
pub(super) struct Connection {
    /// The address that it comes from; a socket has none.
    pub(super) peer: Option<IpAddr>,
    standing: Mutex<Standing>,
    sent_off: Notify,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    Stranger,
    Known,
    Leaving,
}

impl Connection {
    /// Somebody has shown a session by it. Whether it is theirs now: it may have to go already.
    pub(super) fn welcome(&self) -> bool {
        let mut standing = self.standing();
        if *standing == Standing::Stranger {
            *standing = Standing::Known;
        }
        *standing == Standing::Known
    }

    /// Done when it has to go.
    pub(super) async fn leaves(&self) {
        if tokio::time::timeout(STRANGER, self.sent_off.notified()).await.is_err() {
            self.send_off();
            if *self.standing() == Standing::Known {
                // Somebody's never has to.
                std::future::pending().await
            }
        }
    }

    /// Whether it is a stranger's, which has to go now.
    fn send_off(&self) -> bool {
        let mut standing = self.standing();
        let is_strangers = *standing == Standing::Stranger;
        if is_strangers {
            *standing = Standing::Leaving;
            self.sent_off.notify_one();
        }
        is_strangers
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that are open, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections(Arc<Mutex<Vec<Arc<Connection>>>>);

/// One of those that are open, for as long as this is there.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: Arc<Connection>,
    all: Connections,
}

impl Connections {
    /// One more.
    pub(super) fn open(&self, peer: Option<IpAddr>) -> Open {
        let standing = Mutex::new(Standing::Stranger);
        let connection = Arc::new(Connection { peer, standing, sent_off: Notify::new() });
        self.list().push(Arc::clone(&connection));
        Open { connection, all: self.clone() }
    }

    /// Has the stranger go who came first, where there is one.
    pub(super) fn make_room(&self) {
        let _ = self.list().iter().any(|connection| connection.send_off());
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.all.list().retain(|other| !Arc::ptr_eq(other, &self.connection));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standings(open: &[Open]) -> Vec<Standing> {
        open.iter().map(|one| *one.connection.standing()).collect()
    }

    #[test]
    fn the_first_stranger_makes_room() {
        use Standing::{Known, Leaving, Stranger};
        let all = Connections::default();
        let mut open: Vec<_> = (0..4).map(|_| all.open(None)).collect();
        assert!(open[0].connection.welcome());
        all.make_room();
        assert_eq!(standings(&open), [Known, Leaving, Stranger, Stranger]);
        // It is too late for that one; and it goes once.
        assert!(!open[1].connection.welcome());
        all.make_room();
        assert_eq!(standings(&open), [Known, Leaving, Leaving, Stranger]);
        assert!(open[3].connection.welcome() && open[3].connection.welcome());
        all.make_room();
        assert_eq!(standings(&open), [Known, Leaving, Leaving, Known]);
        drop(open.remove(1));
        assert_eq!(all.list().len(), 3);
    }

    #[test]
    fn whoever_is_sent_off_leaves_and_nobody_else() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let all = Connections::default();
        let (stranger, known) = (all.open(None), all.open(None));
        assert!(known.connection.welcome());
        all.make_room();
        runtime.block_on(async {
            stranger.connection.leaves().await;
            let stays = tokio::time::timeout(Duration::ZERO, known.connection.leaves()).await;
            assert!(stays.is_err());
        });
    }
}
