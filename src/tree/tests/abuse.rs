//! Transactions under attack: what staging must not give that a change alone doesn't, and what must not grow without end.

use super::staging::svc;
use super::*;

#[test]
fn what_nothing_is_staged_in_is_not_asked() {
    let world = World::new();
    let (svc, other) = (svc(), Who::new(8, 31, &[]));
    world.ns.make_directory(&root(), NodeId::ROOT, &name("qa"), mode(0o755), mode(0)).unwrap();
    let stage = world.stage(&other, "t");
    stage.put(&other, "dev/variables/k", b"1").unwrap();
    // Closed to whoever stages elsewhere, and gone.
    world.chmod(&root(), "prod", 0o700).unwrap();
    world.ns.remove_directory(&root(), NodeId::ROOT, &name("qa")).unwrap();
    stage.commit(&other).unwrap();
    assert_eq!(world.get(&svc, "dev/variables/k").unwrap(), b"1");
    let stage = world.stage(&other, "t");
    world.chmod(&root(), "prod", 0o755).unwrap();
    stage.put(&other, "prod/variables/k", b"1").unwrap();
    world.chmod(&root(), "prod", 0o700).unwrap();
    refused!(stage.commit(&other), Error::Denied(_));
    assert!(stage.error(&other).starts_with("prod/variables: permission denied"), "{}", stage.error(&other));
}
