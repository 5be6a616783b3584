//! Both gates against every combination of what they look at, and creation and changes against what ext4 does; with the
//! helpers that the other tests of this layer use.

use super::check::allows;
use super::gate::{self, Reason, Rule};
use super::*;
use crate::id::NodeId;

const OWNER: u32 = 10;
const NAMED_USER: u32 = 11;
const STRANGER: u32 = 12;
const OWNING: u32 = 20;
const NAMED: u32 = 21;
const UNRELATED: u32 = 22;
const GROUPS: [u32; 3] = [OWNING, NAMED, UNRELATED];
const NODE: NodeId = NodeId(77);

/// Numbers that look random and are the same in each run (xorshift64*).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % u64::from(limit)) as u32
    }

    pub(super) fn rights(&mut self) -> Rights {
        Rights::from_bits(self.below(8) as u8)
    }

    pub(super) fn acl(&mut self) -> Acl {
        let mut users: Vec<_> = (0..self.below(6)).map(|_| (Uid(self.below(40)), self.rights())).collect();
        let mut groups: Vec<_> = (0..self.below(6)).map(|_| (Gid(self.below(u32::MAX)), self.rights())).collect();
        users.sort();
        users.dedup_by_key(|entry| entry.0);
        groups.sort();
        groups.dedup_by_key(|entry| entry.0);
        let needs_mask = !users.is_empty() || !groups.is_empty();
        let mask = (needs_mask || self.below(2) == 0).then(|| self.rights());
        Acl::new(self.rights(), users, self.rights(), groups, mask, self.rights()).unwrap()
    }

    pub(super) fn permissions(&mut self) -> Permissions {
        let mode = Mode::from_bits(self.below(0o10000));
        let mut permissions = Permissions::new(Uid(self.below(40)), Gid(self.below(40)), mode);
        if self.below(2) == 0 {
            permissions.set_access_acl(self.acl());
        }
        permissions.default = (self.below(2) == 0).then(|| self.acl());
        permissions
    }
}

/// A list from its short text form, as in getfacl(1): `u::rw-,g::r--,g:2001:rw-,m::rw-,o::---`.
pub(super) fn acl(text: &str) -> Acl {
    let (mut user_obj, mut group_obj, mut mask, mut other) = (Rights::NONE, Rights::NONE, None, Rights::NONE);
    let (mut users, mut groups) = (vec![], vec![]);
    for entry in text.split(',') {
        let [tag, id, rights] = entry.split(':').collect::<Vec<_>>()[..] else { panic!("{entry}") };
        let bits = rights.chars().fold(0, |bits, letter| bits << 1 | u8::from(letter != '-'));
        let rights = Rights::from_bits(bits);
        match (tag, id.parse()) {
            ("u", Ok(id)) => users.push((Uid(id), rights)),
            ("g", Ok(id)) => groups.push((Gid(id), rights)),
            ("u", _) => user_obj = rights,
            ("g", _) => group_obj = rights,
            ("m", _) => mask = Some(rights),
            _ => other = rights,
        }
    }
    Acl::new(user_obj, users, group_obj, groups, mask, other).unwrap()
}

/// Permissions as plain numbers, for rules stated without the code under test.
#[derive(Clone, Copy, Debug)]
struct Plain {
    owner_id: u32,
    owner: u8,
    user: Option<u8>,
    group: u8,
    named: Option<u8>,
    /// An entry that names the owning group once more.
    named_owning: Option<u8>,
    mask: Option<u8>,
    other: u8,
}

impl Plain {
    fn permissions(self) -> Permissions {
        let rights = Rights::from_bits;
        let mut permissions = Permissions::new(Uid(self.owner_id), Gid(OWNING), Mode::default());
        let users = self.user.map(|bits| (Uid(NAMED_USER), rights(bits))).into_iter().collect();
        let groups = [(NAMED, self.named), (OWNING, self.named_owning)];
        let groups = groups.into_iter().filter_map(|(id, bits)| Some((Gid(id), rights(bits?)))).collect();
        let mask = self.mask.map(rights);
        let acl = Acl::new(rights(self.owner), users, rights(self.group), groups, mask, rights(self.other));
        permissions.set_access_acl(acl.unwrap());
        permissions
    }

    /// The rights, mask included, of each entry for a group.
    fn group_entries(self) -> impl Iterator<Item = (u32, u8)> {
        let entries = [(OWNING, Some(self.group)), (NAMED, self.named), (OWNING, self.named_owning)];
        entries.into_iter().filter_map(move |(id, bits)| Some((id, bits? & self.mask.unwrap_or(7))))
    }

    /// The algorithm of acl(5): find the entries that apply, then ask whether one of them grants it all.
    fn posix(self, uid: u32, groups: &[u32], want: u8) -> bool {
        let matching: Vec<u8> =
            self.group_entries().filter(|(id, _)| groups.contains(id)).map(|(_, bits)| bits).collect();
        let applying = match self.user {
            _ if uid == self.owner_id => vec![self.owner],
            Some(bits) if uid == NAMED_USER => vec![bits & self.mask.unwrap_or(7)],
            _ if matching.is_empty() => vec![self.other],
            _ => matching,
        };
        applying.into_iter().any(|bits| bits & want == want)
    }

    /// The rule for secrets, as its two sentences say it.
    fn secret(self, uid: u32, groups: &[u32]) -> bool {
        let by_group = self.group_entries().any(|(id, bits)| bits & 4 != 0 && groups.contains(&id));
        let by_owner = self.owner & 4 != 0 && uid == self.owner_id && groups.contains(&OWNING);
        by_group || by_owner
    }
}

const USERS: [u32; 4] = [0, OWNER, NAMED_USER, STRANGER];

/// User, primary group, supplementary groups, and all groups that are known.
type Process = (u32, u32, Option<Vec<Gid>>, Vec<u32>);

/// Every user, primary group and set of supplementary groups, known or not.
fn callers() -> Vec<Process> {
    let subset = |bits: usize| (0..3).filter(move |at| bits >> at & 1 == 1).map(|at| GROUPS[at]);
    let mut callers = vec![];
    for uid in USERS {
        for gid in GROUPS {
            callers.push((uid, gid, None, vec![gid]));
            for bits in 0..8 {
                let all = subset(bits).chain([gid]).collect();
                callers.push((uid, gid, Some(subset(bits).map(Gid).collect()), all));
            }
        }
    }
    callers
}

/// What the process could be in if only its primary group is known.
fn possible(gid: u32) -> impl Iterator<Item = Vec<u32>> {
    (0..8).map(move |bits| (0..3).filter(|at| bits >> at & 1 == 1).map(|at| GROUPS[at]).chain([gid]).collect())
}

fn optional(rights: &[u8]) -> impl Iterator<Item = Option<u8>> + Clone {
    std::iter::once(None).chain(rights.iter().copied().map(Some))
}

/// Two of the three rights say all there is to say about classes and masks.
const SOME: [u8; 4] = [0, 2, 4, 6];

fn plain_for_check() -> Vec<Plain> {
    let mut all = vec![];
    for [owner, group, other] in triples() {
        let bare =
            Plain { owner_id: OWNER, owner, user: None, group, named: None, named_owning: None, mask: None, other };
        all.push(bare);
        for [mask, user, named] in triples() {
            let list = Plain { mask: Some(mask), user: Some(user), named: Some(named), ..bare };
            all.extend([list, Plain { named_owning: Some(4), ..list }]);
            if user == 0 {
                all.push(Plain { user: None, ..list });
            }
            if named == 0 {
                all.push(Plain { named: None, ..list });
            }
            if user == 0 && named == 0 {
                all.push(Plain { user: None, named: None, ..list });
            }
        }
    }
    all
}

fn triples() -> impl Iterator<Item = [u8; 3]> {
    SOME.into_iter().flat_map(|a| SOME.into_iter().flat_map(move |b| SOME.into_iter().map(move |c| [a, b, c])))
}

#[test]
fn a_mode_is_its_twelve_bits() {
    for bits in 0..=0o7777 {
        let mode = Mode::from_bits(bits | 0o100_000);
        assert_eq!(u32::from(mode.bits()), bits);
        let class = |shift: u32| Rights::from_bits((bits >> shift) as u8 & 7);
        assert_eq!((mode.owner(), mode.group(), mode.other()), (class(6), class(3), class(0)));
        assert_eq!(mode.to_string(), format!("{bits:04o}"));
    }
}

#[test]
fn check_is_the_algorithm_of_acl_5_for_every_combination() {
    let callers = callers();
    for plain in plain_for_check() {
        let permissions = plain.permissions();
        for (uid, gid, supplementary, groups) in &callers {
            let caller = Caller { uid: Uid(*uid), gid: Gid(*gid), supplementary: supplementary.as_deref() };
            for want in SOME {
                let expected = *uid == 0
                    || match supplementary {
                        Some(_) => plain.posix(*uid, groups, want),
                        None => possible(*gid).all(|groups| plain.posix(*uid, &groups, want)),
                    };
                let allowed = allows(&permissions, &caller, Rights::from_bits(want), Kind::File);
                assert_eq!(allowed, expected, "{plain:?} {caller:?} {want}");
            }
        }
    }
}

#[test]
fn root_executes_what_somebody_may() {
    for mode in 0..0o1000 {
        let permissions = Permissions::new(Uid(OWNER), Gid(OWNING), Mode::from_bits(mode));
        let root = Caller { uid: Uid::ROOT, gid: Gid(UNRELATED), supplementary: Some(&[]) };
        for want in 0..8 {
            let rights = Rights::from_bits(want);
            assert!(allows(&permissions, &root, rights, Kind::Directory));
            let expected = want & 1 == 0 || mode & 0o111 != 0;
            assert_eq!(allows(&permissions, &root, rights, Kind::File), expected, "{mode:o} {want}");
        }
    }
}

/// Every mode; without an ACL, and with every choice of entries that differ in whether they grant read.
fn plain_for_gate() -> impl Iterator<Item = Plain> {
    (0..0o1000u16).flat_map(|mode| {
        let [owner, group, other] = [mode >> 6, mode >> 3, mode].map(|bits| (bits & 7) as u8);
        [0, OWNER].into_iter().flat_map(move |owner_id| {
            let bare = Plain { owner_id, owner, user: None, group, named: None, named_owning: None, mask: None, other };
            let lists = [0, 3, 4].into_iter().flat_map(move |own| {
                [None, Some(7)].into_iter().flat_map(move |user| {
                    optional(&[0, 3, 4]).flat_map(move |named| {
                        optional(&[4]).map(move |named_owning| Plain {
                            group: own,
                            user,
                            named,
                            named_owning,
                            mask: Some(group),
                            ..bare
                        })
                    })
                })
            });
            std::iter::once(bare).chain(lists)
        })
    })
}

#[test]
fn gate_is_its_two_sentences_for_every_combination() {
    let callers = callers();
    for plain in plain_for_gate() {
        // For each user, the groups that would let it in, each by itself.
        let helps = USERS.map(|uid| {
            let helps = GROUPS.into_iter().filter(|id| plain.secret(uid, &[*id]));
            (uid, helps.map(Gid).collect::<Vec<_>>())
        });
        let helps = |uid| helps.iter().find(|(of, _)| *of == uid).unwrap().1.clone();
        let permissions = plain.permissions();
        for (uid, gid, supplementary, groups) in &callers {
            let caller = Caller { uid: Uid(*uid), gid: Gid(*gid), supplementary: supplementary.as_deref() };
            // Unknown groups count for nothing, so `groups` is the primary one alone then.
            let expected = plain.secret(*uid, groups);
            let said = || format!("{plain:?} {caller:?}");
            match gate::read(&permissions, &caller, NODE) {
                Ok(grant) => {
                    assert!(expected, "{}", said());
                    assert_eq!((grant.node(), grant.purpose()), (NODE, gate::Purpose::Read));
                    let (by, at_least) = match grant.rule().unwrap() {
                        Rule::OwningGroup(by) => (by, plain.group & plain.mask.unwrap_or(7)),
                        Rule::NamedGroup(by) if by.0 == OWNING => (by, plain.named_owning.unwrap()),
                        Rule::NamedGroup(by) => (by, plain.named.unwrap()),
                        Rule::OwnerWithOwningGroup { owner, group } => {
                            assert_eq!((owner.0, *uid), (plain.owner_id, plain.owner_id));
                            (group, plain.owner)
                        }
                    };
                    assert!(groups.contains(&by.0) && at_least & 4 != 0, "{}", said());
                }
                Err(denial) => {
                    assert!(!expected && !denial.past, "{}", said());
                    let helps = helps(*uid);
                    let reason = match (helps.is_empty(), supplementary, plain.owner & 4) {
                        (false, Some(_), _) => Reason::NoGroup { needed: helps },
                        (false, None, _) => Reason::GroupsUnknown { needed: helps },
                        (true, _, 4) => Reason::OwnerOnly { owner: Uid(plain.owner_id), group: Gid(OWNING) },
                        (true, ..) => Reason::NoGroupMayRead,
                    };
                    assert_eq!(denial.reason, reason, "{}", said());
                }
            }
        }
    }
}

#[test]
fn history_needs_both_and_explanations_agree_with_both_gates() {
    let plain: Vec<_> = plain_for_gate().step_by(613).collect();
    let permissions: Vec<_> = plain.iter().map(|plain| plain.permissions()).collect();
    for (uid, gid, supplementary, _) in &callers() {
        let caller = Caller { uid: Uid(*uid), gid: Gid(*gid), supplementary: supplementary.as_deref() };
        for current in &permissions {
            let now = gate::read(current, &caller, NODE);
            let explained = gate::explain(current, &caller, true);
            let by_class = |want| allows(current, &caller, want, Kind::File);
            assert_eq!(explained.read.is_ok(), now.is_ok() && by_class(Rights::READ));
            assert_eq!(explained.write.is_ok(), by_class(Rights::WRITE));
            assert_eq!(gate::explain(current, &caller, false).read.is_ok(), by_class(Rights::READ));
            for then in &permissions {
                let past = gate::read(then, &caller, NODE);
                match gate::history(current, then, &caller, NODE) {
                    Ok(grant) => assert_eq!(
                        (grant.rule(), grant.purpose(), past.is_ok()),
                        (now.as_ref().unwrap().rule(), gate::Purpose::History, true)
                    ),
                    Err(denial) if denial.past => assert_eq!(denial.reason, past.unwrap_err().reason),
                    Err(denial) => assert_eq!(&denial, now.as_ref().unwrap_err()),
                }
            }
        }
    }
}

#[test]
fn grants_cannot_be_copied() {
    trait Otherwise<T> {
        fn found() {}
    }
    impl<T: ?Sized> Otherwise<()> for T {}
    struct Cloned;
    impl<T: Clone> Otherwise<Cloned> for T {}
    struct Defaulted;
    impl<T: Default> Otherwise<Defaulted> for T {}
    // Ambiguous, and so not compiled, as soon as `Grant` is `Clone` (which `Copy` implies) or `Default`.
    <gate::Grant as Otherwise<_>>::found();
}

/// `group mode acl default`, as in the tables below, for an owner.
fn permissions(owner: u32, words: &str) -> Permissions {
    let [group, mode, access, default] = words.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{words}") };
    let mode = Mode::from_bits(u32::from_str_radix(mode, 8).unwrap());
    let mut permissions = Permissions::new(Uid(owner), Gid(group.parse().unwrap()), mode);
    if access != "-" {
        permissions.set_access_acl(acl(access));
        assert_eq!(permissions.mode, mode, "the group bits are the mask: {words}");
    }
    permissions.default = (default != "-").then(|| acl(default));
    permissions
}

struct Row<'a> {
    caller: (u32, u32, Vec<Gid>),
    kind: Kind,
    rest: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// `uid gid groups kind rest…`
    fn new(words: &'a str) -> Row<'a> {
        let words: Vec<_> = words.split_whitespace().collect();
        let groups = words[2].split(',').filter_map(|id| id.parse().ok()).map(Gid).collect();
        let caller = (words[0].parse().unwrap(), words[1].parse().unwrap(), groups);
        let kind = if words[3] == "d" { Kind::Directory } else { Kind::File };
        Row { caller, kind, rest: words[4..].to_vec() }
    }

    fn caller(&self) -> Caller<'_> {
        Caller { uid: Uid(self.caller.0), gid: Gid(self.caller.1), supplementary: Some(&self.caller.2) }
    }

    fn mode(&self, at: usize) -> Mode {
        Mode::from_bits(u32::from_str_radix(self.rest[at], 8).unwrap())
    }
}

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| line.split('|').collect())
}

fn creates(table: &str) {
    for row in rows(table) {
        let (parent, request, expected) = (permissions(3000, row[0]), Row::new(row[1]), row[2]);
        let new = |secret| {
            create::new_entry(&parent, &request.caller(), request.mode(0), request.mode(1), request.kind, secret)
        };
        let default = row[0].split_whitespace().last().unwrap();
        let expected = permissions(request.caller.0, &expected.replace('=', default));
        assert_eq!(new(false), expected, "{row:?}");
        let secret = new(true);
        if request.kind == Kind::Directory {
            assert_eq!(secret, expected, "a directory of secrets is as any other: {row:?}");
            continue;
        }
        // The same for the owner and for groups, nothing for anybody else.
        let (plain, secret_acl) = (expected.access_acl(), secret.access_acl());
        assert!(secret_acl.users().is_empty() && secret_acl.other().is_empty(), "{row:?}");
        assert_eq!(
            (secret.owner, secret.group, secret.group_rights()),
            (expected.owner, expected.group, expected.group_rights())
        );
        assert_eq!(secret.named_groups().collect::<Vec<_>>(), expected.named_groups().collect::<Vec<_>>());
        assert_eq!((secret_acl.user_obj(), secret_acl.groups()), (plain.user_obj(), plain.groups()));
        let masked = expected.acl.is_some() && (plain.users().is_empty() || !plain.groups().is_empty());
        assert_eq!(secret.acl.is_some(), masked, "{row:?}");
        assert_eq!(secret.mode.bits() & 0o7700, expected.mode.bits() & 0o7700);
    }
}

fn edits(table: &str) {
    for row in rows(table) {
        let (before, request) = (permissions(1000, row[0]), Row::new(row[1]));
        let change = |secret| match request.rest[0] {
            "chmod" => Ok(edit::chmod(&before, request.mode(1), &request.caller(), secret)),
            _ => edit::set_access_acl(&before, &acl(request.rest[1]), &request.caller(), secret),
        };
        let expected = permissions(1000, row[2]);
        assert_eq!(change(false).as_ref(), Ok(&expected), "{row:?}");
        match change(true) {
            Ok(secret) => assert_eq!(secret.access_acl(), {
                let mode = expected.mode.with_other(Rights::NONE);
                expected.access_acl().with_mode(mode)
            }),
            Err(error) => {
                assert_eq!(error, AclError::NamedUserOnSecret(Uid(1001)));
                assert!(request.rest[1].contains("u:1001:"));
            }
        }
    }
}

fn checks(table: &str) {
    for row in rows(table) {
        let (entry, request) = (permissions(1000, row[0]), Row::new(row[1]));
        for (want, expected) in row[2].trim().chars().enumerate() {
            let allowed = allows(&entry, &request.caller(), Rights::from_bits(want as u8), request.kind);
            assert_eq!(allowed, expected == '1', "{row:?} {want}");
        }
    }
}
#[test]
fn a_new_entry_gets_what_ext4_gives_it() {
    creates(CREATES);
}

#[test]
fn a_change_leaves_what_ext4_leaves() {
    edits(EDITS);
}

#[test]
fn a_check_says_what_access_2_says() {
    checks(CHECKS);
}

#[test]
fn an_empty_mask_keeps_out_whom_it_masks() {
    let entry = permissions(1000, "2000 0604 u::rw-,u:1001:r--,g::r--,g:2001:r--,m::---,o::r-- -");
    for (uid, gid, expected) in [(1001, 1000, false), (1002, 2000, false), (1002, 2001, false), (1002, 1002, true)] {
        let caller = Caller { uid: Uid(uid), gid: Gid(gid), supplementary: Some(&[]) };
        assert_eq!(allows(&entry, &caller, Rights::READ, Kind::File), expected);
    }
}

// The three tables come from an ext4 file system under Linux 6.18: each row was done there, with setfacl(1) for the
// lists before and read with stat(2) and getfacl(1) after. They are a part of 864, 168 and 14,400 such rows, which all
// agreed but for the one difference that `check` states: an empty mask.

/// Directory: group, mode, ACL, default ACL | creator: uid, gid, supplementary groups; kind, mode, umask | the new
/// entry (`=` for the directory's default ACL).
const CREATES: &str = "
2000 0777 - - | 1000 1000 - f 7777 0077 | 1000 7700 - -
2000 0777 - - | 1000 1000 2000 f 0600 0022 | 1000 0600 - -
2000 0777 - - | 1000 1000 2000 f 0640 0077 | 1000 0600 - -
2000 0777 - - | 1000 1000 2000 d 0600 0022 | 1000 0600 - -
2000 0777 - - | 1000 1000 2000 d 0640 0022 | 1000 0640 - -
2000 0777 - u::rwx,g::r-x,o::r-x | 1000 1000 - f 2755 0022 | 1000 2755 - -
2000 0777 - u::rwx,g::r-x,o::r-x | 1000 1000 - d 0640 0077 | 1000 0640 - =
2000 0777 - u::rwx,g::r-x,o::r-x | 1000 1000 2000 f 2755 0022 | 1000 2755 - -
2000 0777 - u::rwx,g::r-x,o::r-x | 1000 1000 2000 d 0640 0022 | 1000 0640 - =
2000 0777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 - d 0640 0077 | 1000 0640 u::rw-,u:1001:rwx,g::r-x,m::r--,o::--- =
2000 0777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 2000 f 0600 0077 | 1000 0600 u::rw-,u:1001:rwx,g::r-x,m::---,o::--- -
2000 0777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 2000 f 7777 0022 | 1000 7774 u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- -
2000 0777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 2000 d 2755 0077 | 1000 0754 u::rwx,u:1001:rwx,g::r-x,m::r-x,o::r-- =
2000 0777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 - f 0600 0077 | 1000 0600 u::rw-,g::r--,g:2001:rw-,m::---,o::--- -
2000 0777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 - d 0640 0022 | 1000 0640 u::rw-,g::r--,g:2001:rw-,m::r--,o::--- =
2000 0777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 - d 7777 0077 | 1000 1660 u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- =
2000 0777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 2000 f 0600 0022 | 1000 0600 u::rw-,g::r--,g:2001:rw-,m::---,o::--- -
2000 0777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 - f 0600 0022 | 1000 0600 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::--- -
2000 0777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 2000 f 0640 0077 | 1000 0640 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::r--,o::--- -
2000 0777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 2000 d 7777 0022 | 1000 1757 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx =
2000 0777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 2000 d 2644 0022 | 1000 0644 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::r--,o::r-- =
2000 0777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 - f 0666 0077 | 1000 0644 u::rw-,g::rwx,m::r--,o::r-- -
2000 0777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 2000 f 2755 0077 | 1000 2755 u::rwx,g::rwx,m::r-x,o::r-x -
2000 0777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 2000 d 0666 0022 | 1000 0644 u::rw-,g::rwx,m::r--,o::r-- =
2000 0777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 2000 d 0600 0022 | 1000 0600 u::rw-,g::rwx,m::---,o::--- =
2000 2777 - - | 1000 1000 - f 2755 0022 | 2000 0755 - -
2000 2777 - - | 1000 1000 - f 2644 0022 | 2000 2644 - -
2000 2777 - - | 1000 1000 - d 7777 0022 | 2000 3755 - -
2000 2777 - - | 1000 1000 2000 f 2755 0022 | 2000 2755 - -
2000 2777 - - | 1000 1000 2000 f 7777 0022 | 2000 7755 - -
2000 2777 - - | 1000 1000 2000 f 2644 0077 | 2000 2600 - -
2000 2777 - - | 1000 1000 2000 d 2755 0077 | 2000 2700 - -
2000 2777 - - | 1000 1000 2000 d 7777 0022 | 2000 3755 - -
2000 2777 - - | 0 0 - f 2755 0022 | 2000 2755 - -
2000 2777 - u::rwx,g::r-x,o::r-x | 1000 1000 - f 0640 0077 | 2000 0640 - -
2000 2777 - u::rwx,g::r-x,o::r-x | 1000 1000 - d 0666 0022 | 2000 2644 - =
2000 2777 - u::rwx,g::r-x,o::r-x | 1000 1000 2000 f 2755 0077 | 2000 2755 - -
2000 2777 - u::rwx,g::r-x,o::r-x | 1000 1000 2000 d 0640 0022 | 2000 2640 - =
2000 2777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 - f 0666 0077 | 2000 0664 u::rw-,u:1001:rwx,g::r-x,m::rw-,o::r-- -
2000 2777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 - f 0600 0022 | 2000 0600 u::rw-,u:1001:rwx,g::r-x,m::---,o::--- -
2000 2777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 - d 0666 0077 | 2000 2664 u::rw-,u:1001:rwx,g::r-x,m::rw-,o::r-- =
2000 2777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 1000 1000 - d 2755 0022 | 2000 2754 u::rwx,u:1001:rwx,g::r-x,m::r-x,o::r-- =
2000 2777 - u::rwx,u:1001:rwx,g::r-x,m::rwx,o::r-- | 0 0 - f 0640 0077 | 2000 0640 u::rw-,u:1001:rwx,g::r-x,m::r--,o::--- -
2000 2777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 - f 2755 0077 | 2000 0640 u::rw-,g::r--,g:2001:rw-,m::r--,o::--- -
2000 2777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 - d 0666 0022 | 2000 2660 u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- =
2000 2777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 2000 f 2755 0077 | 2000 2640 u::rw-,g::r--,g:2001:rw-,m::r--,o::--- -
2000 2777 - u::rw-,g::r--,g:2001:rw-,m::rw-,o::--- | 1000 1000 2000 d 0600 0022 | 2000 2600 u::rw-,g::r--,g:2001:rw-,m::---,o::--- =
2000 2777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 - f 2644 0022 | 2000 2644 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::r--,o::r-- -
2000 2777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 - d 2755 0022 | 2000 2755 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::r-x =
2000 2777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 2000 f 0600 0022 | 2000 0600 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::--- -
2000 2777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 1000 1000 2000 d 2755 0022 | 2000 2755 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::r-x =
2000 2777 - u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::r-x,o::rwx | 0 0 - f 0640 0077 | 2000 0640 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::r--,o::--- -
2000 2777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 - f 2755 0077 | 2000 0755 u::rwx,g::rwx,m::r-x,o::r-x -
2000 2777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 - d 7777 0077 | 2000 3755 u::rwx,g::rwx,m::r-x,o::r-x =
2000 2777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 2000 f 0640 0022 | 2000 0640 u::rw-,g::rwx,m::r--,o::--- -
2000 2777 - u::rwx,g::rwx,m::r-x,o::r-x | 1000 1000 2000 d 7777 0022 | 2000 3755 u::rwx,g::rwx,m::r-x,o::r-x =
";

/// Entry: group, mode, ACL, default ACL, owner 1000 | caller, kind, change | the entry after it.
const EDITS: &str = "
2000 2754 - - | 1000 1000 - d chmod 2775 | 2000 0775 - -
2000 2754 - - | 1000 1000 - f chmod 0640 | 2000 0640 - -
2000 2754 - - | 1000 1000 - f chmod 2600 | 2000 0600 - -
2000 2754 - - | 1000 1000 - d chmod 7707 | 2000 5707 - -
2000 2754 - - | 1000 1000 - d acl u::rwx,g::r-x,o::--- | 2000 0750 - -
2000 2754 - - | 1000 1000 - d acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 0744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 2754 - - | 1000 1000 - f acl u::rw-,g::rwx,m::rw-,o::--- | 2000 0660 u::rw-,g::rwx,m::rw-,o::--- -
2000 2754 - - | 0 0 - d chmod 2775 | 2000 2775 - -
2000 2754 - - | 1000 2000 - f chmod 2600 | 2000 2600 - -
2000 2754 - - | 1000 2000 - f chmod 7707 | 2000 7707 - -
2000 2754 - - | 1000 1000 2000 d acl u::rwx,g::r-x,o::--- | 2000 2750 - -
2000 2754 - - | 0 0 - f acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 2744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 2754 - - | 1000 2000 - f acl u::rw-,g::rwx,m::rw-,o::--- | 2000 2660 u::rw-,g::rwx,m::rw-,o::--- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - f chmod 2775 | 2000 0775 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-x -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - d chmod 0640 | 2000 0640 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::r--,o::--- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - f chmod 2600 | 2000 0600 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::--- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - d chmod 7707 | 2000 5707 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::rwx -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - f acl u::rwx,g::r-x,o::--- | 2000 0750 - -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - d acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 0744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 - d acl u::rw-,g::rwx,m::rw-,o::--- | 2000 0660 u::rw-,g::rwx,m::rw-,o::--- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 2000 f chmod 2775 | 2000 2775 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-x -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 2000 f chmod 2600 | 2000 2600 u::rw-,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::--- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 0 0 - d chmod 7707 | 2000 7707 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::---,o::rwx -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 2000 f acl u::rwx,g::r-x,o::--- | 2000 2750 - -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 2000 d acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 2744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 2774 u::rwx,u:1001:rwx,g::rwx,g:2001:r-x,m::rwx,o::r-- - | 1000 1000 2000 d acl u::rw-,g::rwx,m::rw-,o::--- | 2000 2660 u::rw-,g::rwx,m::rw-,o::--- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - f chmod 2775 | 2000 0775 u::rwx,g::rwx,m::rwx,o::r-x -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 0 0 - d chmod 0640 | 2000 0640 u::rw-,g::rwx,m::r--,o::--- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - d chmod 2600 | 2000 0600 u::rw-,g::rwx,m::---,o::--- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - d chmod 7707 | 2000 5707 u::rwx,g::rwx,m::---,o::rwx -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - d acl u::rwx,g::r-x,o::--- | 2000 4750 - -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - f acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 4744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 - f acl u::rw-,g::rwx,m::rw-,o::--- | 2000 4660 u::rw-,g::rwx,m::rw-,o::--- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 0 0 - d chmod 2775 | 2000 2775 u::rwx,g::rwx,m::rwx,o::r-x -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 2000 - f chmod 2600 | 2000 2600 u::rw-,g::rwx,m::---,o::--- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 2000 - f chmod 7707 | 2000 7707 u::rwx,g::rwx,m::---,o::rwx -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 1000 2000 f acl u::rwx,g::r-x,o::--- | 2000 6750 - -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 2000 - f acl u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- | 2000 6744 u::rwx,u:1001:rw-,g::r-x,m::r--,o::r-- -
2000 6710 u::rwx,g::rwx,m::--x,o::--- - | 1000 2000 - f acl u::rw-,g::rwx,m::rw-,o::--- | 2000 6660 u::rw-,g::rwx,m::rw-,o::--- -
";

/// Entry, as above | caller, kind | for each request from 0 to 7 (4 read, 2 write, 1 execute) whether it is allowed.
const CHECKS: &str = "
2000 0240 - - | 0 1000 - f | 10101010
2000 0464 - - | 0 1000 2001 f | 10101010
2000 0240 - - | 0 2000 2000,2001,2002 f | 10101010
2000 0201 - - | 1000 2000 2001 f | 10100000
2000 0374 - - | 1000 1000 2000,2001,2002 f | 11110000
2000 0405 - - | 1001 2001 - f | 11001100
2000 0251 - - | 1001 2000 2000,2001,2002 f | 11001100
2000 0532 - - | 1002 1000 - f | 10100000
2000 0450 - - | 1002 1000 2000 f | 11001100
2000 0743 - - | 0 1000 2000 d | 11111111
2000 0523 - - | 0 2001 2001 d | 11111111
2000 0436 - - | 0 1000 - d | 11111111
2000 0275 - - | 1000 2001 - d | 10100000
2000 0207 - - | 1000 1000 2000 d | 10100000
2000 0335 - - | 1001 2001 2000,2001,2002 d | 11110000
2000 0416 - - | 1001 1000 - d | 10101010
2000 0335 - - | 1002 1000 2000,2001,2002 d | 11110000
2000 0416 - - | 1002 2000 2001 d | 11000000
2000 0062 u::---,u:1001:---,g::---,m::rw-,o::-w- - | 0 2000 2001 f | 10101010
2000 0242 u::-w-,u:1001:rw-,g::--x,g:2000:rw-,g:2001:r-x,m::r--,o::-w- - | 0 1000 - f | 10101010
2000 0626 u::rw-,u:1001:--x,g::rw-,g:2000:rwx,g:2001:-wx,m::-w-,o::rw- - | 0 2001 2000 f | 10101010
2000 0676 u::rw-,g::--x,m::rwx,o::rw- - | 1000 2000 2001 f | 10101010
2000 0151 u::--x,u:1001:rw-,g::--x,m::r-x,o::--x - | 1000 2000 2001 f | 11000000
2000 0234 u::-w-,u:1001:--x,g::rw-,g:2001:rw-,m::-wx,o::r-- - | 1001 2001 2000,2001,2002 f | 11000000
2000 0572 u::r-x,u:1001:-w-,g::rwx,g:2001:--x,m::rwx,o::-w- - | 1001 1000 - f | 10100000
2000 0660 u::rw-,g::rwx,g:2000:---,m::rw-,o::--- - | 1002 2001 2000 f | 10101010
2000 0072 u::---,u:1001:rw-,g::-w-,g:2001:-wx,m::rwx,o::-w- - | 1002 1000 - f | 10100000
2000 0642 u::rw-,g::rwx,g:2000:r--,g:2001:r-x,m::r--,o::-w- - | 0 2001 - d | 11111111
2000 0366 u::-wx,g::-wx,g:2001:r--,m::rw-,o::rw- - | 0 2000 2000 d | 11111111
2000 0217 u::-w-,g::rw-,g:2001:-wx,m::--x,o::rwx - | 0 1000 2000 d | 11111111
2000 0340 u::-wx,u:1001:-wx,g::---,g:2001:rw-,m::r--,o::--- - | 1000 2000 2000 d | 11110000
2000 0621 u::rw-,u:1001:-wx,g::r-x,g:2001:-w-,m::-w-,o::--x - | 1000 1000 2001 d | 10101010
2000 0625 u::rw-,u:1001:-wx,g::r--,g:2001:-wx,m::-w-,o::r-x - | 1001 2001 2001 d | 10100000
2000 0075 u::---,u:1001:-w-,g::-wx,g:2001:-wx,m::rwx,o::r-x - | 1001 2001 2000 d | 10100000
2000 0467 u::r--,u:1001:r-x,g::rwx,g:2000:-wx,m::rw-,o::rwx - | 1002 2001 2000,2001,2002 d | 10101010
2000 0513 u::r-x,u:1001:---,g::--x,g:2000:r--,m::--x,o::-wx - | 1002 2001 2000 d | 11000000
2000 0240 - - | 0 1000 - f | 10101010
";
