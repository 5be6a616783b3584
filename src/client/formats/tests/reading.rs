//! What files hold, and what of them is refused, where and with which words.

use super::*;

fn check(format: Format, cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let (entries, problems) = holds(format, text, &PLAIN);
        assert_eq!(problems, [""; 0], "{text}");
        assert_eq!(entries, *expected, "{text}");
    }
}

fn check_problems(format: Format, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let (_, problems) = holds(format, text, &PLAIN);
        assert_eq!(problems, [*expected], "{text}");
    }
}

fn check_errors(format: Format, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let error = read(format, text.as_bytes(), &PLAIN).expect_err(text).to_string();
        assert_eq!(error, *expected, "{text}");
        assert!(!error.contains("s3cret") && !error.contains(char::is_control));
    }
}

#[test]
fn dotenv_is_read() {
    check(
        Format::Dotenv,
        &[
            ("", &[]),
            ("\n \t\r\n# NAME=value\n  # more", &[]),
            ("A=1\nB=2", &["1: A=1", "2: B=2"]),
            ("A=1\r\nB='2'\r\nC=\"3\"\r\n", &["1: A=1", "2: B=2", "3: C=3"]),
            ("\u{feff}A=1", &["1: A=1"]),
            ("export A=1", &["1: A=1"]),
            ("  export\t A = 1  ", &["1: A=1"]),
            ("export=1\nexported=2", &["1: export=1", "2: exported=2"]),
            ("_a.b-c9=1", &["1: _a.b-c9=1"]),
            // Nothing, and blanks.
            ("A=\nB=''\nC=\"\"\nD= ", &["1: A=", "2: B=", "3: C=", "4: D="]),
            ("A=hello  world \t", &["1: A=hello  world"]),
            ("A=' x '", &["1: A= x "]),
            // Comments.
            ("A=1 # one\nB=1#2\nC=#1\nD= #1\nE=1 2\t#3", &["1: A=1", "2: B=1#2", "3: C=#1", "4: D=", "5: E=1 2"]),
            ("A='1 # 2' # '3\nB=\"1 # 2\"\t# \"3", &["1: A=1 # 2", "2: B=1 # 2"]),
            // Nothing is expanded, nothing is run.
            ("A=$HOME ${B} $(date) `date`", &["1: A=$HOME ${B} $(date) `date`"]),
            ("A=\"$HOME $(date) `date`\"", &["1: A=$HOME $(date) `date`"]),
            // Quotes and escapes.
            ("A={\"a\": 'b\\n'}", &["1: A={\\\"a\\\": \\'b\\\\n\\'}"]),
            ("A='a\\n\"$'", &["1: A=a\\\\n\\\"$"]),
            (r#"A="a\n\r\t\"\'\\\$\`""#, &[r#"1: A=a\n\r\t\"\'\\$`"#]),
            // Several lines.
            ("A=\"1\n2\\n3\"\nB='1\n# 2\n'\nC=3", &["1: A=1\\n2\\n3", "3: B=1\\n# 2\\n", "6: C=3"]),
            ("A='1\r\n2'", &["1: A=1\\r\\n2"]),
            ("A=é\nB='\u{1f511}'", &["1: A=\\xc3\\xa9", "2: B=\\xf0\\x9f\\x94\\x91"]),
            ("A=-n\nB=a=b", &["1: A=-n", "2: B=a=b"]),
        ],
    );
}

#[test]
fn dotenv_is_refused() {
    let name = "a name belongs here, of letters, digits and `_ . -`, then `=` and the value";
    let behind = "only a blank and a comment can follow a closing quote";
    let escape = "programs read this escape in different ways; write `\\\\` for a backslash, or single quotes";
    check_errors(
        Format::Dotenv,
        &[
            ("A=1\ns3cret", "line 2, column 7: a `=` and the value belong here, behind the name"),
            ("s3cret+/=", "line 1, column 7: a `=` and the value belong here, behind the name"),
            ("export A", "line 1, column 9: a `=` and the value belong here, behind the name"),
            ("A: s3cret", "line 1, column 2: a `=` and the value belong here, behind the name"),
            ("=s3cret", &format!("line 1, column 1: {name}")),
            ("export =s3cret", &format!("line 1, column 8: {name}")),
            ("..=s3cret", &format!("line 1, column 1: {name}")),
            ("9=s3cret", &format!("line 1, column 1: {name}")),
            ("é=s3cret", &format!("line 1, column 1: {name}")),
            ("A=1\n\nB='s3cret\nC=2", "line 3, column 3: this quote isn't closed"),
            ("A=\"s3cret\\\"", "line 1, column 3: this quote isn't closed"),
            ("é='é' s3cret", &format!("line 1, column 1: {name}")),
            ("A='é' s3cret", &format!("line 1, column 6: {behind}")),
            ("A='s3cret'B", &format!("line 1, column 11: {behind}")),
            ("A='s3cret'#B", &format!("line 1, column 11: {behind}")),
            ("A='s3cret'\\''x'", &format!("line 1, column 11: {behind}")),
            ("A=\"é\\d\"", &format!("line 1, column 5: {escape}")),
            ("A=\"\\\ns3cret\"", &format!("line 1, column 4: {escape}")),
            ("A=\"\\", &format!("line 1, column 4: {escape}")),
            ("A=`s3cret`", "line 1, column 3: a value is quoted by ' or \", and one with a backquote is"),
            ("A=1\rB=s3cret", "line 1, column 3: a value with such a character stands in quotes"),
        ],
    );
    check_problems(
        Format::Dotenv,
        &[
            ("A=1\nB=2\nA=s3cret", "line 3, key `A`: it has a value already, on line 1"),
            ("A=s3cret\nA=s3cret", "line 2, key `A`: it has a value already, on line 1"),
        ],
    );
}

#[test]
fn json_is_read() {
    check(
        Format::Json,
        &[
            ("{}", &[]),
            (" \n{ }\n", &[]),
            ("\u{feff}{\"a\": \"b\"}", &["1: a=b"]),
            (
                "{\"db\": {\"user\": \"u\",\n \"pool\": {\"size\": 5}}, \"x\": \"\"}",
                &["1: db/user=u", "2: db/pool/size=5", "2: x="],
            ),
            ("{\"db/user\": \"u\", \"db\": {\"password\": \"p\"}}", &["1: db/user=u", "1: db/password=p"]),
            ("{\"b\": 1, \"a\": 2}", &["1: b=1", "1: a=2"]),
            ("{\"empty\": {}, \"a\": 1}", &["1: a=1"]),
            // A scalar's text as it stands there.
            (
                "{\"a\": 0.95, \"b\": 1.0, \"c\": 1e5, \"d\": -0, \"e\": 12345678901234567890123, \"f\": 0.10}",
                &["1: a=0.95", "1: b=1.0", "1: c=1e5", "1: d=-0", "1: e=12345678901234567890123", "1: f=0.10"],
            ),
            ("{\"a\": true, \"b\": false}", &["1: a=true", "1: b=false"]),
            // A list as JSON.
            (
                "{\"a\": [1, 2.50,\n \"x y\\\" ]\", {\"k\" : null}, []], \"b\": []}",
                &["1: a=[1,2.50,\\\"x y\\\\\\\" ]\\\",{\\\"k\\\":null},[]]", "2: b=[]"],
            ),
            // Escapes.
            (
                r#"{"a": "x\ny\u0000\u00e9\ud83d\udd11\"\\\/", "b": "é"}"#,
                &[r#"1: a=x\ny\x00\xc3\xa9\xf0\x9f\x94\x91\"\\/"#, r#"1: b=\xc3\xa9"#],
            ),
            ("{\"a\\u0062\": \"$HOME -n 'x'\"}", &["1: ab=$HOME -n \\'x\\'"]),
        ],
    );
}

#[test]
fn json_is_refused() {
    let json = "this isn't JSON; look for a missing comma or quote, a comma too many, or a comment";
    let ends = "the file ends in the middle of a value";
    check_errors(
        Format::Json,
        &[
            ("", &format!("line 1, column 1: {ends}")),
            ("[\"s3cret\"]", "line 1, column 1: the file isn't one object, `{…}`"),
            ("\n \"s3cret\"", "line 2, column 2: the file isn't one object, `{…}`"),
            ("{\"a\": \"s3cret", &format!("line 1, column 13: {ends}")),
            ("{\"a\": \"s3cret\",}", &format!("line 1, column 16: {json}")),
            ("{\"é\": \"é\",\n\"é\" \"s3cret\"}", &format!("line 2, column 5: {json}")),
            ("{\"a\": 's3cret'}", &format!("line 1, column 7: {json}")),
            ("{\"a\": 1} s3cret", &format!("line 1, column 10: {json}")),
            ("{\"a\": 007}", &format!("line 1, column 8: {json}")),
            ("{\"a\": \"s3cret\t\"}", &format!("line 1, column 13: {json}")),
            ("{\n\"\\ud800\": \"s3cret\"}", "line 1, column 1: a name in this object has half of a surrogate pair"),
        ],
    );
    check_problems(
        Format::Json,
        &[
            ("{\"a\": null}", "line 1, key `a`: null is no value; leave it out, or write \"\""),
            ("{\"a\": {\n\"b\": \"\\ud800 s3cret\"}}", "line 2, key `a/b`: its text has half of a surrogate pair"),
            ("{\"a\": 1,\n\n\"a\": \"s3cret\"}", "line 3, key `a`: it has a value already, on line 1"),
            ("{\"a\": {\"b\": 1},\n\"a/b\": 2}", "line 2, key `a/b`: it has a value already, on line 1"),
            ("{\"a\": {\"b\": 1},\n\"a\": {\"c\": 2}}", "line 2, key `a`: it begins a second time, after line 1"),
            (
                "{\"a\": {\"b\": 1},\n\"a\": \"s3cret\"}",
                "line 1, key `a/b`: `a` has a value, on line 2, so nothing can be below it",
            ),
            (
                "{\"a\": 1, \"a-\": 1,\n\"a/b/c\": \"s3cret\"}",
                "line 2, key `a/b/c`: `a` has a value, on line 1, so nothing can be below it",
            ),
            (
                "{\"..\": \"s3cret\"}",
                "line 1, key `..`: a name is neither empty nor `.` or `..`, and has no `/` and no NUL byte",
            ),
            (
                "{\"a\": {\"\": 1}}",
                "line 1, key `a/`: a name is neither empty nor `.` or `..`, and has no `/` and no NUL byte",
            ),
            (
                "{\"/a\\n\": 1}",
                "line 1, key `/a\\n`: a name is neither empty nor `.` or `..`, and has no `/` and no NUL byte",
            ),
        ],
    );
    let long = format!("{{\"{}\": 1}}", "x".repeat(256));
    assert!(
        holds(Format::Json, &long, &PLAIN)
            .1
            .concat()
            .ends_with("a name has at most 255 bytes, and a key at most 4,095")
    );
}

#[test]
fn yaml_is_read() {
    check(
        Format::Yaml,
        &[
            ("", &[]),
            ("# nothing\n", &[]),
            ("---\n...\n", &[]),
            ("{}", &[]),
            ("a: b\n", &["1: a=b"]),
            ("%YAML 1.2\n---\na: b\n...\n", &["3: a=b"]),
            (
                "db:\n  user: u # who\n  pool: {size: 5, max: 9}\nx: ''\n",
                &["2: db/user=u", "3: db/pool/size=5", "3: db/pool/max=9", "4: x="],
            ),
            ("db/user: u\ndb:\n  password: p\n", &["1: db/user=u", "3: db/password=p"]),
            ("empty: {}\na: 1\n", &["2: a=1"]),
            // A scalar's text as it stands there, whatever its type.
            (
                "a: 0.95\nb: 007\nc: '007'\nd: yes\ne: 1_000\nf: 0x1F\ng: .inf\nh: 2027-01-31\ni: True\nj: 1e3\n",
                &[
                    "1: a=0.95",
                    "2: b=007",
                    "3: c=007",
                    "4: d=yes",
                    "5: e=1_000",
                    "6: f=0x1F",
                    "7: g=.inf",
                    "8: h=2027-01-31",
                    "9: i=True",
                    "10: j=1e3",
                ],
            ),
            (
                "a: \"null\"\nb: '~'\nc: \"\"\nd: !!str null\ne: !!str 1\nf: !!int 07\ng: ! 1\n",
                &["1: a=null", "2: b=~", "3: c=", "4: d=null", "5: e=1", "6: f=07", "7: g=1"],
            ),
            ("yes: 1\n1: 2\nnull: 3\n", &["1: yes=1", "2: 1=2", "3: null=3"]),
            // Several lines.
            (
                "a: |\n  x\n    y\n\n  z\nb: |-\n  x\nc: >\n  x\n  y\n\nd: |+\n  x\n\n",
                &["2: a=x\\n  y\\n\\nz\\n", "7: b=x", "9: c=x y\\n", "13: d=x\\n\\n"],
            ),
            (
                "a: x\n  y\nb: \"x\\n\\\n  y\\0\\x41\\u00e9\"\nc: 'it''s'\n",
                &["1: a=x y", "3: b=x\\ny\\x00A\\xc3\\xa9", "5: c=it\\'s"],
            ),
            ("a: $HOME ${X} -n # c\nb: -n\nc: x#y\n", &["1: a=$HOME ${X} -n", "2: b=-n", "3: c=x#y"]),
            // Lists as JSON.
            (
                "a: [1, 2.50, x, 'y', \"1\", true, False, null, ~, 007, 0x1F, yes, -x, 1e3, .5, -1]\n",
                &[
                    "1: a=[1,2.50,\\\"x\\\",\\\"y\\\",\\\"1\\\",true,false,null,null,\\\"007\\\",\\\"0x1F\\\",\\\"yes\\\",\\\"-x\\\",1e3,\\\".5\\\",-1]",
                ],
            ),
            (
                "a:\n  - b: 1\n    c: [x]\n  -\n  - {}\n  - !!str 1\nd: []\n",
                &["2: a=[{\\\"b\\\":1,\\\"c\\\":[\\\"x\\\"]},null,{},\\\"1\\\"]", "7: d=[]"],
            ),
            // Bytes.
            (
                "a: !!binary \"/wBh\"\nb: !!binary |\n  /wBh\n  /wBh\nc: !!binary ''\n",
                &["1: a=\\xff\\x00a", "3: b=\\xff\\x00a\\xff\\x00a", "5: c="],
            ),
            // An anchor that nothing refers to does no harm.
            ("a: &x 1\n", &["1: a=1"]),
        ],
    );
}

#[test]
fn yaml_is_refused() {
    let alias = "aliases (`*name`, `<<`) aren't followed; write out what this one stands for";
    let yaml = "this isn't YAML; look at the indentation, quotes, and the blank behind `:`";
    check_errors(
        Format::Yaml,
        &[
            ("- s3cret\n", "line 1, column 1: the file isn't one mapping, of `key: value`"),
            ("s3cret\n", "line 1, column 1: the file isn't one mapping, of `key: value`"),
            (
                "a: 1\n---\nb: s3cret\n",
                "line 2, column 1: a second document begins here, and a file can have one alone",
            ),
            ("a: &x s3cret\nb: *x\n", &format!("line 2, column 4: {alias}")),
            ("b: *s3cret\n", &format!("line 1, column 4: {alias}")),
            ("a: &x {k: s3cret}\nb:\n  <<: *x\n", &format!("line 3, column 3: {alias}")),
            ("<<: {a: s3cret}\n", &format!("line 1, column 1: {alias}")),
            ("a: [&x s3cret, *x]\n", &format!("line 1, column 16: {alias}")),
            ("[a, b]: s3cret\n", "line 1, column 1: a key is text"),
            ("? {a: b}\n: s3cret\n", "line 1, column 3: a key is text"),
            (": s3cret\n", "line 1, column 1: a key is missing here"),
            ("!!binary YQ==: s3cret\n", "line 1, column 10: a key is text, and has no tag"),
            ("a: !vault [s3cret]\n", "line 1, column 11: this tag has no meaning here; leave it out"),
            ("a: !!set {s3cret}\n", "line 1, column 10: this tag has no meaning here; leave it out"),
            ("a: [!vault s3cret]\n", "line 1, column 12: a tag within a list has no form in its JSON text"),
            ("a: [{b: 1, b: s3cret}]\n", "line 1, column 12: this name is there twice in its mapping"),
            ("a: 'é\nb: s3cret\n", "line 1, column 4: a quote isn't closed"),
            ("a: [s3cret\n", "line 1, column 4: a bracket isn't closed"),
            ("a:\n\tb: s3cret\n", "line 2, column 2: YAML is indented by blanks, no tabs"),
            (
                "a: \"s3cret\\d\"\n",
                "line 1, column 4: this escape has no meaning in double quotes; write `\\\\` for a backslash",
            ),
            ("a: s3cret: b\n", &format!("line 1, column 10: {yaml}")),
            ("a: 1\n b: s3cret\n", &format!("line 2, column 3: {yaml}")),
        ],
    );
    check_problems(
        Format::Yaml,
        &[
            ("a:\nb: 1\n", "line 1, key `a`: null is no value; leave it out, or write \"\""),
            ("a: ~\n", "line 1, key `a`: null is no value; leave it out, or write \"\""),
            ("a: {b: Null}\n", "line 1, key `a/b`: null is no value; leave it out, or write \"\""),
            ("a: !!null ''\n", "line 1, key `a`: null is no value; leave it out, or write \"\""),
            ("a: !vault s3cret\n", "line 1, key `a`: its tag has no meaning here; leave it out"),
            ("a: !!binary s3cret!\n", "line 1, key `a`: it is tagged `!!binary` and isn't Base64"),
            ("a: 1\n\na: s3cret\n", "line 3, key `a`: it has a value already, on line 1"),
            ("a: {b: 1}\na: {c: 2}\n", "line 2, key `a`: it begins a second time, after line 1"),
            ("a: {b: 1}\na: s3cret\n", "line 1, key `a/b`: `a` has a value, on line 2, so nothing can be below it"),
            (
                "a/../b: s3cret\n",
                "line 1, key `a/../b`: a name is neither empty nor `.` or `..`, and has no `/` and no NUL byte",
            ),
        ],
    );
}

#[test]
fn a_file_is_text() {
    for format in Format::ALL {
        let error = read(format, b"A=1\nB=\xc3\xa9s3cret\xff", &PLAIN).expect_err("no text").to_string();
        assert_eq!(error, "line 2, column 10: a file is UTF-8 text, and this byte is none");
    }
}

#[test]
fn more_keys_than_are_kept_are_refused_and_not_gathered() {
    let many = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let dotenv = |count| many(count, &|n| format!("K{n}=\n"));
    assert_eq!(read(Format::Dotenv, dotenv(100_000).as_bytes(), &Mapping::default()).unwrap().entries.len(), 100_000);
    let yaml = many(100_001, &|n| format!("K{n}: x\n"));
    let json = format!("{{{}\n\"z\": 1}}", many(100_000, &|n| format!("\n\"{n}\": null,")));
    let all =
        [(Format::Dotenv, dotenv(100_001), 100_001), (Format::Yaml, yaml, 100_001), (Format::Json, json, 100_002)];
    for (format, text, line) in all {
        let error = read(format, text.as_bytes(), &Mapping::default()).unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (line, "these are more than 100,000 keys: split the file"));
    }
}
