//! Expressions of `--filter` and `--sort`: any text is read or pointed at, what is printed is read as the same, a negation is
//! the opposite, and an order is one.

use keyfs::client::filter::{Field, Filter, Kind, Known, Sort, SyntaxError};

const KNOWN: &[Known] = &[
    Known { name: "key", kind: Kind::Text },
    Known { name: "size", kind: Kind::Number },
    Known { name: "modified", kind: Kind::Time },
    Known { name: "secret", kind: Kind::Flag },
    Known { name: "groups", kind: Kind::List },
    Known { name: "expires", kind: Kind::Time },
];

/// See the module.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Filter::parse(text, KNOWN) {
        Ok(filter) => filters(&filter),
        Err(error) => points(&error, text),
    }
    match Sort::parse(text, KNOWN) {
        Ok(sort) => sorts(&sort),
        Err(error) => points(&error, text),
    }
}

/// Things of a list: the first two differ in all that they have, the third has nothing.
fn thing(which: usize) -> impl Fn(&str) -> Option<Field<'static>> {
    move |name| {
        let second = which == 1;
        match name {
            _ if which == 2 => None,
            "key" => Some(Field::Text(if second { "db/Ünique" } else { "config/a" }.into())),
            "size" => Some(Field::Number(if second { 7 } else { -1 })),
            "modified" => {
                Some(Field::Time(if second { "2027-01-31T12:00:00Z" } else { "1970-01-01T00:00:00Z" }.into()))
            }
            "secret" => Some(Field::Flag(second)),
            "groups" => Some(Field::List(if second { vec!["ops".into(), "Audit".into()] } else { vec!["x".into()] })),
            "expires" => None,
            other => panic!("{other} is no field"),
        }
    }
}

fn filters(filter: &Filter) {
    let printed = filter.to_string();
    assert_eq!(Filter::parse(&printed, KNOWN).as_ref(), Ok(filter), "{printed}");
    assert!(filter.fields().iter().all(|name| KNOWN.iter().any(|known| known.name == *name)));
    if printed.is_empty() {
        return;
    }
    // One deeper than the expression, which may be as deep as one can be.
    let Ok(negated) = Filter::parse(&format!("not ({printed})"), KNOWN) else { return };
    for which in 0..3 {
        let found = thing(which);
        assert!(!(filter.matches(&found) && negated.matches(&found)), "{printed}");
        let asks_for_null = filter.fields().contains("expires") || which == 2;
        assert!(asks_for_null || filter.matches(&found) != negated.matches(&found), "{printed}");
    }
}

fn sorts(sort: &Sort) {
    let printed = sort.to_string();
    assert_eq!(Sort::parse(&printed, KNOWN).as_ref(), Ok(sort), "{printed}");
    for (one, other) in [(0, 1), (1, 2), (0, 2), (1, 1)] {
        let order = sort.place(&thing(one)).cmp(&sort.place(&thing(other)));
        assert_eq!(sort.place(&thing(other)).cmp(&sort.place(&thing(one))), order.reverse(), "{printed}");
        assert!(one != other || order.is_eq(), "{printed}");
        let null_is_last = other != 2 || order.is_lt() || sort.fields().iter().all(|name| *name == "expires");
        assert!(null_is_last, "{printed}");
    }
}

/// That an error is one line that points into the text.
fn points(error: &SyntaxError, text: &str) {
    let before = text.strip_suffix(error.rest.as_str()).expect("the place is in the text");
    assert_eq!(error.column, before.chars().count() + 1);
    assert!(!error.why.is_empty() && !error.to_string().contains(char::is_control), "{error}");
}
