//! Access control lists: each of the two encodings comes back as it was, the text of `user.keyfs.groups` grants what it says,
//! and the gate lets in whom its rule lets in, stated here a second time.

use keyfs::access::acl::MAX_ENTRIES;
use keyfs::access::gate::{self, Reason};
use keyfs::access::{Acl, Caller, Kind, Mode, Permissions, Rights, check, edit};
use keyfs::id::{Gid, NodeId, Uid};

use super::input::Input;

/// See the module.
pub fn run(input: &[u8]) {
    if let Ok(list) = Acl::from_xattr(input) {
        let again = list.to_xattr();
        assert_eq!(again.len(), input.len(), "no entry is lost, none is added");
        assert_eq!(Acl::from_xattr(&again).as_ref(), Ok(&list));
        whole(&list);
    }
    if let Ok(list) = Acl::decode(input) {
        assert_eq!(encoded(&list), input, "the store's form has one spelling");
        whole(&list);
    }
    if let Ok(permissions) = Permissions::decode(input) {
        rule(&permissions, input);
    }
    text(input);
}

fn encoded(list: &Acl) -> Vec<u8> {
    let mut bytes = Vec::new();
    list.encode(&mut bytes);
    bytes
}

/// What holds for every list, and for permissions that have it.
fn whole(list: &Acl) {
    assert!(list.entries() <= MAX_ENTRIES);
    assert!(list.users().is_sorted_by(|one, other| one.0 < other.0));
    assert!(list.groups().is_sorted_by(|one, other| one.0 < other.0));
    assert!(list.mask().is_some() || list.users().is_empty() && list.groups().is_empty());
    assert_eq!(Acl::from_xattr(&list.to_xattr()).as_ref(), Ok(list), "by the kernel's form");
    assert_eq!(Acl::decode(&encoded(list)).as_ref(), Ok(list), "by the store's form");

    let mut permissions = Permissions::new(Uid(7), Gid(8), Mode::from_bits(0o7000));
    permissions.set_access_acl(list.clone());
    assert_eq!(&permissions.access_acl(), list);
    assert_eq!(permissions.mode.bits() & 0o7000, 0o7000);
    rule(&permissions, &[]);

    match edit::check_acl(list, true) {
        Ok(kept) => assert!(kept.users().is_empty() && kept.other().is_empty()),
        Err(_) => assert!(!list.users().is_empty()),
    }
    let secret = list.clone().for_secret();
    assert!(secret.users().is_empty() && secret.other().is_empty());
}

/// The gate, stated again: a group of the caller's that is granted read, or the owning group for the owner where the owner is.
fn lets_in(permissions: &Permissions, caller: &Caller<'_>) -> bool {
    let list = permissions.access_acl();
    let mask = list.mask().unwrap_or(Rights::ALL);
    let reads = |rights: Rights| (rights & mask).contains(Rights::READ);
    caller.known_groups().any(|group| {
        let owning = group == permissions.group;
        let owner = caller.uid == permissions.owner && list.user_obj().contains(Rights::READ);
        owning && (reads(list.group_obj()) || owner) || list.group(group).is_some_and(reads)
    })
}

/// Asks the gate for callers of many kinds, those of the permissions' own ids above all.
fn rule(permissions: &Permissions, input: &[u8]) {
    let mut choices = Input(input);
    let mut ids: Vec<u32> = permissions.named_groups().map(|(group, _)| group.0).take(4).collect();
    ids.extend([permissions.group.0, 0, choices.word().unwrap_or(1)]);
    for uid in [permissions.owner.0, 0, 77] {
        for gid in ids.clone() {
            let known: Vec<Gid> =
                ids.iter().filter(|_| choices.byte().unwrap_or(1) % 2 == 1).map(|id| Gid(*id)).collect();
            let caller = Caller { uid: Uid(uid), gid: Gid(gid), supplementary: Some(&known) };
            let unknown = Caller { supplementary: None, ..caller };
            ask(permissions, &caller, &unknown);
        }
    }
}

fn ask(permissions: &Permissions, caller: &Caller<'_>, unknown: &Caller<'_>) {
    let node = NodeId(7);
    let answer = gate::read(permissions, caller, node);
    assert_eq!(answer.is_ok(), lets_in(permissions, caller), "{caller:?} and {permissions:?}");
    if let Ok(grant) = &answer {
        assert_eq!(grant.node(), node);
    }
    match gate::read(permissions, unknown, node) {
        // What holds for the primary group alone holds for more.
        Ok(_) => assert!(answer.is_ok()),
        // Only this may change once the groups are known.
        Err(denial) => assert!(answer.is_err() || matches!(denial.reason, Reason::GroupsUnknown { .. })),
    }
    for want in [Rights::READ, Rights::WRITE, Rights::EXECUTE] {
        let known = check::allows(permissions, caller, want, Kind::File);
        assert!(known || !check::allows(permissions, unknown, want, Kind::File), "a yes holds whatever the groups are");
    }
}

/// The text of `user.keyfs.groups`, on a plain entry and back.
fn text(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let resolve = |name: &str| (name.len() == 1).then(|| Gid(name.as_bytes()[0].into()));
    let Ok(groups) = edit::parse_groups(text, &resolve) else { return };
    let before = Permissions::new(Uid(7), Gid(8), Mode::from_bits(0o640));
    let Ok(after) = edit::apply_groups(&before, &groups) else {
        assert!(groups.iter().count() + 4 > MAX_ENTRIES);
        return;
    };
    assert_eq!((after.owner, after.group, after.mode.other()), (before.owner, before.group, before.mode.other()));
    assert_eq!(after.group_rights(), groups.get(after.group).unwrap_or_default());
    for (group, rights) in groups.iter().filter(|(group, _)| *group != after.group) {
        assert_eq!(after.named_group(group), Some(rights));
    }
    assert_eq!(after.named_groups().count(), groups.iter().filter(|(group, _)| *group != after.group).count());
    let written = edit::format_groups(&after, &|group| group.to_string());
    let again = edit::parse_groups(&written, &resolve).expect("what is written can be read");
    assert_eq!(edit::apply_groups(&after, &again).as_ref(), Ok(&after));
    assert_eq!(edit::apply_groups(&before, &again), Ok(after));
}
