//! openssl and age with their keys among the secrets.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run, wait_for};
use crate::service::{Service, directory_of, free_port, said};
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[("openssl", "openssl"), ("age", "age"), ("age-keygen", "age")];

pub const CASES: &[Case] = &[
    ("openssl_makes_and_checks_a_key", openssl_makes_and_checks_a_key),
    ("openssl_signs_with_a_key_of_the_group", openssl_signs_with_a_key_of_the_group),
    ("openssl_serves_with_a_key_of_the_group", openssl_serves_with_a_key_of_the_group),
    ("age_decrypts_with_an_identity_of_the_mount", age_decrypts_with_an_identity_of_the_mount),
];

const MEMBER: User<'static> = User(ALICE, ALICE, &[PAYMENTS]);
const STRANGER: User<'static> = User(BOB, BOB, &[ANALYSTS]);
const KEY: &str = "prod/secrets/tls/key.pem";
const CERTIFICATE: &str = "prod/variables/tls/certificate.pem";

fn openssl(user: User<'_>, arguments: &[&str]) -> Output {
    user.command("openssl").args(arguments).output().expect("openssl")
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

#[track_caller]
fn is_denied(output: &Output) {
    let said = said(output);
    assert!(!output.status.success() && said.to_lowercase().contains("permission denied"), "{said}");
    assert!(!said.contains("BEGIN"), "it was shown");
}

/// A mount with directories for keys that belong to the group, and a key that its member made.
fn with_key() -> (Mount, String, String) {
    let mount = Mount::new();
    for directory in ["prod/secrets/tls", "prod/variables/tls"] {
        mount.mkdir(directory);
        mount.own(directory, 0, PAYMENTS, 0o2775);
    }
    let key = text(&mount.path(KEY));
    let certificate = text(&mount.path(CERTIFICATE));
    succeeds(&openssl(MEMBER, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", &key]));
    (mount, key, certificate)
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of text").to_owned()
}

fn certify(key: &str, certificate: &str) {
    let subject = ["-days", "2", "-subj", "/CN=localhost"];
    let request = ["req", "-x509", "-new", "-key", key, "-out", certificate];
    succeeds(&openssl(MEMBER, &[&request[..], &subject].concat()));
}

fn openssl_makes_and_checks_a_key() {
    let (mount, key, _) = with_key();
    // openssl asks for 0600 itself; the directory gives the group.
    let status = run(Command::new("stat").args(["-c", "%a %u %g"]).arg(&key));
    assert_eq!(status, format!("600 {ALICE} {PAYMENTS}\n"));
    let checked = succeeds(&openssl(MEMBER, &["rsa", "-check", "-noout", "-in", &key]));
    assert!(checked.contains("RSA key ok"), "{checked}");
    for user in [ROOT, STRANGER, User(ALICE, ALICE, &[]), User(BOB, PAYMENTS, &[])] {
        is_denied(&openssl(user, &["rsa", "-check", "-noout", "-in", &key]));
    }
    // Written over, with another form of the same key: the next version.
    let encrypted = format!("{key}.encrypted");
    let cipher = ["-aes256", "-passout", "pass:a phrase"];
    succeeds(&openssl(MEMBER, &[&["rsa", "-in", &key, "-out", &encrypted][..], &cipher].concat()));
    let plain = ["rsa", "-in", &encrypted, "-passin", "pass:a phrase", "-traditional", "-out", &key];
    succeeds(&openssl(MEMBER, &plain));
    let head = run(MEMBER.command("head").args(["-1", &key]));
    assert_eq!(head, "-----BEGIN RSA PRIVATE KEY-----\n");
    let before = run(MEMBER.command("head").arg("-1").arg(mount.path(&format!(".keyfs/history/{KEY}/1"))));
    assert_eq!(before, "-----BEGIN PRIVATE KEY-----\n");
}

fn openssl_signs_with_a_key_of_the_group() {
    let (mount, key, certificate) = with_key();
    mount.own(KEY, 0, PAYMENTS, 0o640);
    certify(&key, &certificate);
    // The certificate is everybody's, and made of this key.
    let fingerprint = |arguments: &[&str], user| succeeds(&openssl(user, arguments));
    let of_key = fingerprint(&["pkey", "-in", &key, "-pubout"], MEMBER);
    assert_eq!(of_key, fingerprint(&["x509", "-in", &certificate, "-noout", "-pubkey"], STRANGER));
    succeeds(&openssl(STRANGER, &["verify", "-CAfile", &certificate, &certificate]));
    // A request for signing, and a digest signed; refused without the group.
    let place = directory_of(STRANGER, mount.home().join("stranger"));
    for (user, may) in [(MEMBER, true), (STRANGER, false), (ROOT, false)] {
        let request = openssl(user, &["req", "-new", "-key", &key, "-subj", "/CN=localhost"]);
        let signed = openssl(user, &["dgst", "-sha256", "-hex", "-sign", &key, &certificate]);
        if may {
            assert!(succeeds(&request).contains("BEGIN CERTIFICATE REQUEST"));
            succeeds(&signed);
        } else {
            is_denied(&request);
            is_denied(&signed);
        }
    }
    assert_eq!(std::fs::read_dir(place).unwrap().count(), 0);
}

fn openssl_serves_with_a_key_of_the_group() {
    let (mount, key, certificate) = with_key();
    mount.own(KEY, 0, PAYMENTS, 0o640);
    certify(&key, &certificate);
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = ["s_server", "-accept", &address, "-key", &key, "-cert", &certificate, "-quiet", "-www"];
    is_denied(&openssl(STRANGER, &arguments));
    let mut server = Service::start(MEMBER.command("openssl").args(arguments), &mount.home().join("server.log"));
    let client = ["s_client", "-connect", &address, "-CAfile", &certificate, "-verify_return_error", "-brief"];
    wait_for("the server", || server.is_running() && openssl(STRANGER, &client).status.success());
    let answer = succeeds(&openssl(STRANGER, &client));
    assert!(answer.contains("Verification: OK"), "{answer}");
}

fn age_decrypts_with_an_identity_of_the_mount() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/age");
    mount.own("prod/secrets/age", ALICE, PAYMENTS, 0o2775);
    let identity = mount.path("prod/secrets/age/identity");
    run(MEMBER.command("age-keygen").arg("-o").arg(&identity));
    let recipient = run(MEMBER.command("age-keygen").arg("-y").arg(&identity));
    // A value of the variables that the identity opens.
    let sealed = mount.path("prod/variables/sealed.age");
    mount.put("prod/variables/plain", "for payments\n");
    run(Command::new("age").args(["-r", recipient.trim(), "-o"]).arg(&sealed).arg(mount.path("prod/variables/plain")));
    let decrypt = |user: User<'_>| decrypt(user, &identity, &sealed);
    assert_eq!(succeeds(&decrypt(MEMBER)), "for payments\n");
    is_denied(&decrypt(ROOT));
    is_denied(&decrypt(STRANGER));
    // For the whole group.
    mount.own("prod/secrets/age/identity", 0, PAYMENTS, 0o640);
    assert_eq!(succeeds(&decrypt(User(BOB, BOB, &[PAYMENTS]))), "for payments\n");
    is_denied(&decrypt(User(ALICE, ALICE, &[])));
    // What age decrypts into the secrets is whole there.
    let opened = mount.path("prod/secrets/age/opened");
    run(MEMBER.command("age").arg("-d").arg("-i").arg(&identity).arg("-o").arg(&opened).arg(&sealed));
    User(ALICE, ALICE, &[PAYMENTS]).reads(&opened, "for payments\n");
}

fn decrypt(user: User<'_>, identity: &Path, sealed: &PathBuf) -> Output {
    user.command("age").arg("-d").arg("-i").arg(identity).arg(sealed).output().expect("age")
}
