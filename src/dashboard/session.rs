//! Who has shown the token of this start: sessions, each of one browser tab.
//!
//! Invariants:
//! - Tokens are 256 bits of the system's chance and live as long as this process. Of sessions there are hashes alone, compared
//!   in constant time.
//! - A session is its user's: with another one it is none.
//! - A session that nobody used for [`IDLE`] has ended; a user's oldest goes when there are too many.
//!
//! It deliberately keeps nothing on a disk: a new start has a new token, and nobody is let in by an old one.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Error;
use crate::clock::{Clock, Timestamp};

/// How long a session lasts that nobody uses.
pub(super) const IDLE: Duration = Duration::from_secs(12 * 3600);

/// How many sessions a user has at a time.
const MOST: usize = 100;

type Hash = [u8; 32];

/// The token of this start, and the sessions that it opened.
pub(super) struct Sessions {
    clock: Arc<dyn Clock>,
    token: Hash,
    open: Mutex<Vec<Session>>,
}

struct Session {
    hash: Hash,
    user: Option<String>,
    used: Timestamp,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl Sessions {
    /// None yet, and the token that opens them.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Result<(Sessions, Zeroizing<String>), Error> {
        let token = random()?;
        Ok((Sessions { clock, token: hash(&token), open: Mutex::default() }, token))
    }

    /// Whether this is the token of this start.
    pub(super) fn is_token(&self, token: &str) -> bool {
        hash(token).ct_eq(&self.token).into()
    }

    /// A new session of this user.
    pub(super) fn open(&self, user: Option<&str>) -> Result<Zeroizing<String>, Error> {
        let session = random()?;
        let mut open = self.table();
        let used = self.clock.now();
        let of_user = |session: &Session| session.user.as_deref() == user;
        if open.iter().filter(|session| of_user(session)).count() >= MOST {
            let oldest = open.iter().enumerate().filter(|(_, session)| of_user(session)).min_by_key(|(_, s)| s.used);
            let oldest = oldest.map(|(at, _)| at);
            oldest.map(|at| open.swap_remove(at));
        }
        open.push(Session { hash: hash(&session), user: user.map(str::to_owned), used });
        Ok(session)
    }

    /// Whether this is a session of this user. It goes on then for as long again, unless the page asks without anybody's doing.
    pub(super) fn is_open(&self, session: &str, user: Option<&str>, is_use: bool) -> bool {
        let wanted = hash(session);
        let now = self.clock.now();
        let mut open = self.table();
        open.retain(|session| !is_idle(session.used, now));
        // All of them are looked at, whichever it is.
        let mut found = false;
        for session in open.iter_mut() {
            if bool::from(session.hash.ct_eq(&wanted)) && session.user.as_deref() == user {
                session.used = if is_use { now } else { session.used };
                found = true;
            }
        }
        found
    }

    fn table(&self) -> MutexGuard<'_, Vec<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_idle(used: Timestamp, now: Timestamp) -> bool {
    let since = now.0.saturating_sub(used.0);
    u128::try_from(since).is_ok_and(|since| since >= IDLE.as_nanos())
}

/// 256 bits as text.
fn random() -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    getrandom::getrandom(bytes.as_mut_slice()).map_err(|error| Error::Start(io::Error::from(error)))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

fn hash(text: &str) -> Hash {
    blake3::hash(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn sessions() -> (Arc<ManualClock>, Sessions, Zeroizing<String>) {
        let clock = Arc::new(ManualClock::new(Timestamp(0)));
        let (sessions, token) = Sessions::new(Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        (clock, sessions, token)
    }

    #[test]
    fn a_token_is_256_bits_and_another_one_at_each_start() {
        let (_, one, token) = sessions();
        let (_, _, other) = sessions();
        assert_eq!(URL_SAFE_NO_PAD.decode(token.as_bytes()).unwrap().len(), 32);
        assert!(one.is_token(&token) && !one.is_token(&other) && !one.is_token(""));
        assert!(!one.is_token(&token[1..]) && !one.is_token(&format!("{}A", *token)));
    }

    #[test]
    fn a_session_ends_when_nobody_used_it_for_long() {
        let (clock, sessions, token) = sessions();
        let session = sessions.open(None).unwrap();
        assert!(sessions.is_open(&session, None, true) && !sessions.is_open(&token, None, true));
        for _ in 0..3 {
            clock.advance(IDLE - Duration::from_secs(1));
            assert!(sessions.is_open(&session, None, true));
        }
        clock.advance(IDLE);
        assert!(!sessions.is_open(&session, None, true));
        // It doesn't come back.
        assert!(!sessions.is_open(&session, None, true) && sessions.table().is_empty());
    }

    #[test]
    fn a_page_that_asks_by_itself_keeps_no_session() {
        let (clock, sessions, _) = sessions();
        let session = sessions.open(None).unwrap();
        for _ in 0..11 {
            clock.advance(IDLE / 12);
            assert!(sessions.is_open(&session, None, false));
        }
        clock.advance(IDLE / 12);
        assert!(!sessions.is_open(&session, None, false));
    }

    #[test]
    fn a_session_is_its_users() {
        let (_, sessions, _) = sessions();
        let session = sessions.open(Some("alice")).unwrap();
        assert!(sessions.is_open(&session, Some("alice"), true));
        assert!(!sessions.is_open(&session, Some("bob"), true) && !sessions.is_open(&session, None, true));
    }

    #[test]
    fn the_oldest_of_a_user_goes_and_nobody_elses() {
        let (_, sessions, _) = sessions();
        let bobs = sessions.open(Some("bob")).unwrap();
        let first = sessions.open(Some("alice")).unwrap();
        let second = sessions.open(Some("alice")).unwrap();
        assert!(sessions.is_open(&first, Some("alice"), true));
        for _ in 2..=MOST {
            sessions.open(Some("alice")).unwrap();
        }
        assert!(sessions.is_open(&first, Some("alice"), true) && !sessions.is_open(&second, Some("alice"), true));
        assert!(sessions.is_open(&bobs, Some("bob"), true));
    }
}
