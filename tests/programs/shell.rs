//! What a shell and its everyday tools do with files.

use std::process::Command;

use crate::alike::alike;
use crate::fixture::{ALICE, ANALYSTS, BOB, Mount, PAYMENTS, ROOT, User, run};
use crate::service::said;
use crate::{Case, Tool};

pub const TOOLS: &[Tool] = &[
    ("bash", "bash"),
    ("dash", "dash"),
    ("find", "findutils"),
    ("grep", "grep"),
    ("diff", "diffutils"),
    ("flock", "util-linux"),
    ("awk", "mawk"),
    ("lsof", "lsof"),
];

pub const CASES: &[Case] = &[
    ("shells_read", shells_read),
    ("shells_write", shells_write),
    ("searching", searching),
    ("comparing", comparing),
    ("listing", listing),
    ("coreutils", coreutils),
    ("sums_and_disks", sums_and_disks),
    ("settings_from_a_secret", settings_from_a_secret),
    ("a_search_shows_what_its_groups_read", a_search_shows_what_its_groups_read),
];

fn shells_read() {
    alike(
        r#"
put("app.env", b"HOST=localhost\nPASSWORD='two words'\n")
put("one", b"value\n")
put("lines", b"a\nb c\n\nd")
put("library", b"greet() { echo \"hello $1\"; }\n")
def both(label, script):
    for shell in "bash", "dash":
        show(f"{label}, {shell}", run, shell, "-c", script)
both("sourced", ". ./app.env; echo \"$HOST $PASSWORD\"")
both("exported", "set -a; . ./app.env; set +a; env | grep -E '^(HOST|PASSWORD)=' | sort")
both("function", ". ./library; greet you")
both("substituted", "echo \"<$(cat one)>\"")
both("read", "read -r line < one; echo \"<$line>\"")
both("lines", "while IFS= read -r line || [ -n \"$line\" ]; do echo \"<$line>\"; done < lines")
both("descriptor", "exec 3< lines; read -r a <&3; read -r b <&3; exec 3<&-; echo \"$a|$b\"")
both("two of them", "exec 3< one 4< lines; cat <&4 <&3")
both("none", "if ! . ./none 2>/dev/null; then echo no; fi; [ -r none ] || echo none")
both("tests", "[ -s one ] && [ -f one ] && [ ! -d one ] && [ one -nt none ] && echo yes")
both("globs", "echo *.env [a-l]*; for file in *; do echo \"$file\"; done")
both("a script", "sh ./library; echo $?")
show("source", run, "bash", "-c", "source app.env; echo $HOST")
show("$(<file)", run, "bash", "-c", "echo \"<$(<one)>\"")
show("mapfile", run, "bash", "-c", "mapfile -t lines < lines; echo ${#lines[@]} \"${lines[1]}\"")
show("process substitution", run, "bash", "-c", "diff <(sort lines) <(sort -r lines); cat < <(cat one)")
show("env file", run, "bash", "-c", "env $(grep HOST app.env | xargs) printenv HOST")
show("completion", run, "bash", "-c", "compgen -f li | sort")
show("globstar", run, "bash", "-c", "shopt -s globstar; mkdir -p d/e; touch d/e/k; echo **")
"#,
    );
}

fn shells_write() {
    alike(
        r#"
def both(label, script):
    for shell in "bash", "dash":
        sh("rm -rf *")
        show(f"{label}, {shell}", run, shell, "-c", script)
both("echo", "echo one > k; cat k; echo two > k; cat k")
both("append", "echo one > k; echo two >> k; printf three >> k; cat k")
both("empty", "echo one > k; > k; wc -c < k; : > new; ls")
both("here", "cat > k <<END\na $HOME$(echo b)\nEND\ncat k | sed s,$HOME,home,")
both("group", "{ echo a; echo b; } > k; cat k; (echo c; echo d) >> k; wc -l < k")
both("descriptors", "exec 3> k; echo a >&3; echo b >&3; exec 3>&-; cat k")
both("both outputs", "ls none k > k 2>&1; wc -l < k")
both("to read and write", "echo abc > k; exec 3<> k; read -r line <&3; echo more >&3; exec 3>&-; cat k; echo $line")
both("careful", "set -C; echo a > k; (echo b > k) 2>/dev/null || echo kept; echo c >| k; cat k")
both("private", "umask 077; echo a > k; stat -c %a k")
both("a loop", "for n in 1 2 3; do echo $n; done > k; cat k")
both("in the background", "(echo late > k) & wait; cat k")
both("through a pipe", "seq 1000 | tee k | tail -1; wc -l < k")
both("over itself", "echo old > k; sed s/old/new/ k > k.new && mv k.new k; cat k; ls")
both("a lock", "if mkdir lock; then echo mine; fi; mkdir lock 2>/dev/null || echo theirs; rmdir lock; ls")
both("flock", "flock k sh -c 'echo locked >> k; flock -n k true || echo busy'; cat k")
both("trap", "trap 'rm -f t' EXIT; echo t > t; cat t")
"#,
    );
}

fn searching() {
    alike(
        r#"
os.umask(0o027)
sh("mkdir -p app/db web/.hidden; echo localhost > app/db/host; echo secret=1 > app/db/password; echo 80 > web/port; echo x > web/.hidden/k; : > none; chmod 600 app/db/password; touch -d 2020-01-01 web/port; chown 20001:0 app/db/host; chown 0:20101 web")
show("all", sh, "find . | sort")
show("files", sh, "find . -type f -name '[hp]*' | sort")
show("directories", sh, "find . -mindepth 1 -type d -printf '%P %m %n %d\n' | sort")
show("empty", sh, "find . -type f -empty | sort; mkdir nothing; find . -type d -empty; rmdir nothing")
show("sizes", sh, "find . -type f -size -3c -printf '%f %s\n' | sort")
show("permissions", sh, "find . -type f -perm 600; find . -type f -perm /g=r | sort; find . -type f -perm -o=r")
show("old", sh, "find . -type f -mtime +365; find . -type f -newermt 2021-01-01 | sort; find . -newer web/port -type f | sort")
show("owners", sh, "find . -uid 20001 -printf '%P %U %G\n'; find . -gid 20101")
show("depth", sh, "find . -maxdepth 1 | sort; find . -path ./web -prune -o -type f -print | sort")
show("one file system", sh, "find . -xdev -type f | wc -l")
show("exec", sh, "find . -name host -exec cat {} +; find . -name port -exec grep -H 80 {} ';'")
show("xargs", sh, "find . -type f -print0 | sort -z | xargs -0 cat; find . -name host | xargs -I{} sh -c 'echo {}; cat {}'")
show("readable", sh, "find . -readable -type f | wc -l; find . ! -writable")
show("grep", sh, "grep -r secret . ; grep -rl 80 . ; grep -c . app/db/host; grep -rn x --include=k .")
show("grep in none", sh, "grep -r nothing .; echo $?; grep x app")
show("grep without dots", sh, "grep -rh --exclude-dir=.hidden . . | sort")
show("deleted", sh, "find . -name k -delete; find web -depth -type d -empty -delete; find web | sort")
show("ls -R", sh, "ls -R; ls -A1 app/db; ls -d */")
"#,
    );
}

fn comparing() {
    alike(
        r#"
sh("mkdir -p blue/db green; echo 1 > blue/db/host; echo 5 > blue/retries; cp -r blue/. green; ")
show("the same", sh, "diff -r blue green; echo $?")
sh("echo 6 > green/retries; echo new > green/added; rm green/db/host")
show("different", sh, "LC_ALL=C diff -r blue green; echo $?")
show("briefly", sh, "LC_ALL=C diff -rq blue green; cmp -s blue/retries green/retries; echo $?")
show("unified", sh, "diff -u --label a --label b blue/retries green/retries")
show("added", sh, "LC_ALL=C diff -rN blue green; echo $?")
sh("printf 'a\nb\n' > one; printf 'b\nc\n' > two")
show("comm", sh, "comm one two; join one two; paste one two; sdiff one two; echo $?")
show("sorted", sh, "sort -m one two; sort -u one two -o one; cat one; uniq -c one | tr -s ' '")
show("awk", sh, "awk '{ print FILENAME, FNR, $1 }' one two; awk '{ print > \"three\" }' one; cat three")
show("cut", sh, "echo a:b > four; cut -d: -f2 four; tr a-z A-Z < four; sed -n 1p four; nl four | tr -s ' '; rev four; fold -w 2 four")
"#,
    );
}

fn listing() {
    alike(
        r#"
os.umask(0o027)
sh("mkdir d; echo one > d/one; printf 22 > d/two; chmod 600 d/one; chown 20001:20101 d/two; touch -d '2020-02-03 04:05:06.789' d/one; touch -d 2021-01-01 d/two; chmod g+s d; touch -d 2022-02-02 d")
os.environ["TZ"] = "UTC"
show("ls -l", sh, "ls -l d/*")
show("full time", sh, "ls -l --full-time d/one; ls -n d/two; ls -ld d | cut -c 1-15")
show("ls -lR", sh, "ls -lR --time-style=long-iso d | sed 1,2d")
show("in order", sh, "ls -t d; ls -S d; ls -r d; ls -p; ls -F d; ls -Q d; ls -1U d | sort; ls -x d")
show("stat", sh, "stat -c '%n %a %A %F %h %s %u %g %Y %y' d/one d/two; stat -c '%n %a %F %h' d")
show("terse test", sh, "stat -c %i d/one > i; [ \"$(cat i)\" = \"$(ls -i d/one | cut -d' ' -f1)\" ] && echo same")
show("touch", sh, "touch -d 2001-01-01 d/one; stat -c %y d/one; touch -r d/one d/two; stat -c %y d/two; touch -c none; ls none; touch -a d/one; stat -c %y d/one; touch new; stat -c '%s %a' new")
show("chmod", sh, "chmod u=rw,g=r d/two; stat -c %a d/two; chmod -R g-r d; stat -c %a d d/one d/two; chmod -v 640 d/one; chmod a-w d/one; stat -c %a d/one")
show("chown", sh, "chown 0:20102 d/one; chgrp 20101 d/two; chown --from=0 20001 d/one; stat -c '%u %g' d/one d/two; chown -R 0:0 d; stat -c '%u %g' d d/one d/two")
show("du", sh, "du -b d/one d/two; du -ab d/one; du --apparent-size -B1 d/two")
show("file test", sh, "test d/one -ot d/two; echo $?; test d/one -ef d/one; echo $?; realpath --relative-to=. d/one; readlink -e d/one >/dev/null; echo $?; readlink d/one; echo $?")
show("removed", sh, "rm -v d/one; rm -r d; ls -d d; rm -f none; rm none")
"#,
    );
}

fn coreutils() {
    alike(
        r#"
os.umask(0o027)
os.environ["LC_ALL"] = "C"
put("k", b"0123456789")
show("dd", sh, "dd if=k of=a bs=3 count=2 status=none; cat a; dd if=k of=a bs=1 skip=8 seek=1 conv=notrunc status=none; cat a")
show("dd, forced", sh, "dd if=k of=b conv=fsync status=none; dd if=k of=b oflag=append,dsync conv=notrunc,fdatasync status=none; cat b")
show("dd, exclusive", sh, "dd if=k of=c conv=excl status=none; cat c; dd if=k of=c conv=excl status=none; echo $?; dd if=k of=none conv=nocreat status=none; echo $?")
show("tee", sh, "echo 1 | tee x y z; cat x y z; echo 2 | tee -a x > y; cat x y")
show("truncate", sh, "truncate -s 5 k; cat k; truncate -s +2 k; od -An -c k; truncate -s '<3' k; cat k; truncate -c -s 1 none; ls none; truncate -r k x; stat -c %s x")
show("install", sh, "install -D -m 640 -o 20001 -g 20101 k deep/er/k; stat -c '%a %u %g' deep/er/k; install -d -m 750 made/two; stat -c %a made/two; install -b -m 600 x deep/er/k; ls deep/er; install -C -m 600 x deep/er/k; cat deep/er/k")
show("install, times", sh, "touch -d 2020-01-01 k; install -p -m 640 k kept; stat -c %Y kept; install -t deep x y; ls deep")
show("mktemp", sh, "t=$(mktemp ./t.XXXXXX); stat -c '%a %s' $t; rm $t; d=$(mktemp -d ./d.XXXXXX); stat -c %a $d; rmdir $d; ls")
show("wc", sh, "printf 'a b\nc' > w; wc w; wc -l < w; wc -c w x; wc -m w")
show("sort", sh, "printf '3\n1\n2\n' > s; sort -o s s; cat s; sort -rn s -o s; cat s; sort -c s; echo $?; shuf s -o t; sort t")
show("split", sh, "seq 10 > n; split -l 4 n part.; cat part.ac; csplit -s -f c. n 5; cat c.00; cat part.* | cmp - n && echo same; rm part.* c.*")
show("head and tail", sh, "head -2 n; tail -2 n; tail -n +9 n; head -c -15 n; tac n | head -1; tail -c 3 n n w")
show("paste", sh, "cat -n w; od -c w; base64 w; md5sum w; sha256sum w > sums; sha256sum -c sums; cksum w; sum w")
show("mv", sh, "mv w v; ls v w; mv v deep; mv deep/v .; mv -n v n; ls v; mv -f v n; cat n; mv n made; mv made/n made/two/m; find made; mv made moved && ls moved/two")
show("rm", sh, "echo y | rm -i k; ls k; rm -rf moved deep; ls; rmdir none; mkdir -p p/q; rmdir p; rmdir -p p/q; ls -d p")
show("sync", sh, "sync x; sync -d x; sync -f x; echo $?")
show("timeout", sh, "timeout 20 cat x; env -C . cat x; nice cat x; xargs -a s echo; pr -t s | head -1; expand s | head -1; dir; vdir x | cut -c 1-10")
"#,
    );
}

fn sums_and_disks() {
    let mount = Mount::new();
    mount.mkdir("dev/variables/d");
    mount.put("dev/variables/d/k", vec![b'v'; 10_000]);
    let root = mount.root();
    let df = run(Command::new("df").args(["--output=fstype,target"]).arg(mount.path("dev/variables/d")));
    assert_eq!(
        df.lines().nth(1).map(|line| line.split_whitespace().collect::<Vec<_>>()),
        Some(vec!["fuse.keyfs", root.to_str().unwrap()])
    );
    run(Command::new("df").arg("-i").arg(&root));
    run(Command::new("du").arg("-sh").arg(&root));
    let du = run(Command::new("du").args(["-k", "--inodes", "-s"]).arg(mount.path("dev/variables/d")));
    assert_eq!(du.split_whitespace().next(), Some("2"), "{du}");
    // At least as much as is in it.
    let blocks = run(Command::new("du").args(["-B1"]).arg(mount.path("dev/variables/d/k")));
    assert!(blocks.split_whitespace().next().unwrap().parse::<u64>().unwrap() >= 10_000, "{blocks}");
    assert!(run(Command::new("stat").arg("-f").arg(&root)).contains("Type: fuse"));
    assert!(run(Command::new("findmnt").args(["-n", "-o", "FSTYPE", "--target"]).arg(&root)).contains("fuse.keyfs"));
    // Who has what open.
    let open = std::fs::File::open(mount.path("dev/variables/d/k")).unwrap();
    let listed = run(Command::new("lsof").arg("-t").arg(mount.path("dev/variables/d/k")));
    assert_eq!(listed.trim(), std::process::id().to_string());
    drop(open);
}

fn settings_from_a_secret() {
    let mount = Mount::new();
    mount.put("prod/secrets/app.env", "TOKEN=s3cret\n");
    mount.own("prod/secrets/app.env", 0, PAYMENTS, 0o640);
    let path = mount.path("prod/secrets/app.env");
    for script in [
        "set -a; . \"$0\"; printenv TOKEN",
        "printf '%s\\n' \"$(grep -o 's3.*' \"$0\")\"",
        "while IFS== read -r _ v; do echo \"$v\"; done < \"$0\"",
    ] {
        for shell in ["bash", "dash"] {
            let output =
                |user: User<'_>| user.command(shell).args(["-c", script]).arg(&path).output().expect("a shell");
            assert_eq!(said(&output(User(ALICE, ALICE, &[PAYMENTS]))), "s3cret\n", "{shell}: {script}");
            for user in [ROOT, User(BOB, BOB, &[ANALYSTS])] {
                let output = output(user);
                let said = said(&output);
                assert!(!said.contains("s3cret"), "{shell}: {script}");
                assert!(
                    said.contains("Permission denied") || said.contains("cannot open"),
                    "{shell}: {script}: {said}"
                );
            }
        }
    }
}

fn a_search_shows_what_its_groups_read() {
    let mount = Mount::new();
    mount.mkdir("prod/secrets/db");
    mount.put("prod/secrets/db/password", "needle\n");
    mount.own("prod/secrets/db/password", 0, PAYMENTS, 0o640);
    let grep = |user: User<'_>| {
        let mut command = user.command("grep");
        command.env("LC_ALL", "C").args(["-rh", "needle"]).arg(mount.path("prod/secrets")).output().expect("grep")
    };
    assert_eq!(said(&grep(User(ALICE, ALICE, &[PAYMENTS]))), "needle\n");
    for user in [ROOT, User(BOB, BOB, &[ANALYSTS])] {
        let output = grep(user);
        assert!(output.stdout.is_empty() && said(&output).contains("Permission denied"), "{}", said(&output));
        // Names are for whoever may list.
        let mut find = user.command("find");
        let names = find.arg(mount.path("prod/secrets")).args(["-type", "f", "-printf", "%P %s\\n"]);
        assert_eq!(said(&names.output().unwrap()), "db/password 7\n");
    }
}
