//! Filters and sort expressions as data: what is read, what is refused and where, and what is let through.

use std::cmp::Ordering;

use proptest::prelude::*;

use super::grammar::DEEPEST;
use super::*;

const KNOWN: &[Known] = &[
    Known { name: "key", kind: Kind::Text },
    Known { name: "name", kind: Kind::Text },
    Known { name: "owner", kind: Kind::Text },
    Known { name: "version", kind: Kind::Number },
    Known { name: "group_id", kind: Kind::Number },
    Known { name: "modified", kind: Kind::Time },
    Known { name: "expires", kind: Kind::Time },
    Known { name: "secret", kind: Kind::Flag },
    Known { name: "groups", kind: Kind::List },
];

fn parse(text: &str) -> Result<Filter, SyntaxError> {
    Filter::parse(text, KNOWN)
}

/// One thing of a list: a key with an owner, that never expires.
fn look_up(name: &str) -> Option<Field<'static>> {
    match name {
        "key" => Some(Field::Text("db/Primary (EU)".into())),
        "name" => Some(Field::Text("Mike's \\ \"report\"".into())),
        "owner" => Some(Field::Text("Müller".into())),
        "version" => Some(Field::Number(7)),
        "group_id" => Some(Field::Number(-20)),
        "modified" => Some(Field::Time("2027-01-31T12:00:00Z".into())),
        "secret" => Some(Field::Flag(true)),
        "groups" => Some(Field::List(vec!["ops".into(), "Payments".into()])),
        _ => None,
    }
}

#[test]
fn what_holds_and_what_does_not() {
    let cases: &[(&str, bool)] = &[
        ("", true),
        (" \t\n", true),
        // Equality, in both spellings, without regard to case.
        ("owner = müller", true),
        ("owner == MÜLLER", true),
        ("owner=müller", true),
        ("owner = mülle", false),
        ("owner != müller", false),
        ("owner != alice", true),
        ("OWNER = müller", true),
        // Order, of numbers and times.
        ("version = 7", true),
        ("version = 007", true),
        ("version = +7", true),
        ("version != 7", false),
        ("version < 8", true),
        ("version < 7", false),
        ("version <= 7", true),
        ("version > 6", true),
        ("version > 7", false),
        ("version >= 7", true),
        ("version>=7", true),
        ("group_id = -20", true),
        ("group_id < 0", true),
        ("modified > 2027-01-31", true),
        ("modified > 2027-01-31T12:00:00", false),
        ("modified >= 2027-01-31T12:00:00", true),
        ("modified = 2027-01-31T13:00:00+01:00", true),
        ("modified < 2027-02-01", true),
        ("modified starts_with 2027-01", true),
        ("modified contains t12", true),
        ("secret = true", true),
        ("secret = FALSE", false),
        ("secret != false", true),
        // Parts of text.
        ("key starts_with DB/", true),
        ("key STARTS_WITH db/", true),
        ("key starts_with primary", false),
        ("key ends_with \"(eu)\"", true),
        ("key contains 'primary ('", true),
        ("key contains %", false),
        ("key contains _", false),
        // Quotes.
        ("name = 'Mike\\'s \\\\ \"report\"'", true),
        ("name = \"Mike's \\ \\\"report\\\"\"", true),
        ("name = Mike's", false),
        ("name starts_with Mike's", true),
        ("name contains \\", true),
        ("name != 'and'", true),
        ("name != ']'", true),
        ("name != ''", true),
        ("name starts_with ''", true),
        // Lists on either side.
        ("owner = [alice, MÜLLER]", true),
        ("owner=[alice,müller]", true),
        ("owner = [ alice , bob ]", false),
        ("owner != [alice, bob]", true),
        ("owner != [alice, müller]", false),
        ("key starts_with [config/, db/]", true),
        ("key contains [\"x, y\", '(e']", true),
        ("version = [1, 7]", true),
        ("version = [1]", false),
        ("modified = [2027-01-31T12:00:00Z]", true),
        ("groups = OPS", true),
        ("groups = audit", false),
        ("groups != ops", false),
        ("groups != audit", true),
        ("groups = [audit, payments]", true),
        ("groups starts_with pay", true),
        ("groups contains z", false),
        // Null.
        ("expires is_null", true),
        ("expires is_not_null", false),
        ("owner is_null", false),
        ("owner is_not_null", true),
        ("groups is_not_null", true),
        ("not expires is_null", false),
        ("expires < 2030-01-01", false),
        ("not expires < 2030-01-01", false),
        ("expires != 2030-01-01", false),
        ("expires is_null or expires > 2030-01-01", true),
        ("expires > 2030-01-01 or version = 7", true),
        ("expires > 2030-01-01 and version = 7", false),
        ("not (expires > 2030-01-01 and version = 7)", false),
        ("not (expires > 2030-01-01 and version = 8)", true),
        // `not` before `and` before `or`, and parentheses.
        ("version = 1 and version = 2 or version = 7", true),
        ("version = 7 or version = 1 and version = 2", true),
        ("(version = 7 or version = 1) and version = 2", false),
        ("not version = 1 and version = 7", true),
        ("not version = 1 and version = 2", false),
        ("not (version = 1 and version = 2)", true),
        ("not not version = 7", true),
        ("NOT version = 1 AND version = 7 Or version = 3", true),
        ("not(version = 1)and(version = 7)", true),
        ("((( version = 7 )))", true),
        ("version = 7\n  and\tversion = 7", true),
    ];
    for (text, expected) in cases {
        let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.matches(&look_up), *expected, "{text}");
        assert_eq!(parse(&filter.to_string()), Ok(filter), "{text}");
    }
}

#[test]
fn a_wrong_expression_is_one_line_that_points_at_the_place() {
    let operators = "== = != <= < >= > starts_with ends_with contains is_null is_not_null";
    let fields = "key, name, owner, version, group_id, modified, expires, secret, groups";
    let quotes = "a value with blanks, quotes, commas, brackets or parentheses stands in quotes";
    let follow = format!("only `and`, `or` or the end can follow here; {quotes}");
    let cases: &[(&str, String)] = &[
        ("size = 3", format!("column 1, at `size = 3`: no such field; there are {fields}")),
        ("not (size = 3)", format!("column 6, at `size = 3)`: no such field; there are {fields}")),
        ("-key = 3", "column 1, at `-key = 3`: a field's name belongs here".into()),
        ("key", format!("column 4, at the end: an operator belongs behind `key`, one of {operators}")),
        ("key ~ x", format!("column 5, at `~ x`: an operator belongs behind `key`, one of {operators}")),
        (
            "key starts_with_x a",
            format!("column 5, at `starts_with_x a`: an operator belongs behind `key`, one of {operators}"),
        ),
        ("key =", "column 6, at the end: a value belongs here, in quotes if it is empty".into()),
        (
            "key = and version = 2",
            "column 7, at `and version = 2`: a value belongs here; the word `and` stands in quotes".into(),
        ),
        ("key = )", "column 7, at `)`: a value belongs here, in quotes if it is empty".into()),
        ("key = a b", format!("column 9, at `b`: {follow}")),
        ("key = 'a'b", format!("column 10, at `b`: {follow}")),
        ("key = a(b)", format!("column 8, at `(b)`: {follow}")),
        ("expires is_null x", format!("column 17, at `x`: {follow}")),
        ("key = a)", format!("column 8, at `)`: {follow}")),
        ("key = \"a", "column 7, at `\"a`: this quote isn't closed".into()),
        ("key = 'a\\'", "column 7, at `'a\\'`: this quote isn't closed".into()),
        ("(key = a", "column 1, at `(key = a`: this parenthesis isn't closed".into()),
        ("(key = a b)", "column 10, at `b)`: only `and`, `or` or `)` can follow here".into()),
        ("key = [a, b", "column 7, at `[a, b`: this bracket isn't closed".into()),
        ("key = [a b]", "column 10, at `b]`: only `,` or `]` can follow here".into()),
        ("key = []", "column 8, at `]`: a value belongs here, in quotes if it is empty".into()),
        ("key = [a,]", "column 10, at `]`: a value belongs here, in quotes if it is empty".into()),
        ("version > [1, 2]", "column 11, at `[1, 2]`: `>` takes one value, no list".into()),
        ("key < m", "column 5, at `< m`: `<` compares numbers and times, and key is text".into()),
        ("groups >= m", "column 8, at `>= m`: `>=` compares numbers and times, and groups is text".into()),
        ("secret > true", "column 8, at `> true`: `>` compares numbers and times, and secret is true or false".into()),
        ("version contains 7", "column 9, at `contains 7`: `contains` compares text, and version is a number".into()),
        (
            "secret starts_with t",
            "column 8, at `starts_with t`: `starts_with` compares text, and secret is true or false".into(),
        ),
        ("version = seven", "column 11, at `seven`: version is compared with a whole number".into()),
        ("version = 1.5", "column 11, at `1.5`: version is compared with a whole number".into()),
        ("version = [1, x]", "column 15, at `x]`: version is compared with a whole number".into()),
        (
            "version = 9223372036854775808",
            "column 11, at `9223372036854775808`: version is compared with a whole number".into(),
        ),
        (
            "modified > yesterday",
            "column 12, at `yesterday`: modified is compared with a time, such as 2027-01-31 or 2027-01-31T12:00:00Z"
                .into(),
        ),
        ("secret = yes", "column 10, at `yes`: secret is compared with true or false".into()),
        ("key = a and", "column 12, at the end: a field's name belongs here".into()),
        ("and key = a", format!("column 1, at `and key = a`: no such field; there are {fields}")),
        (
            "key = é or\nsise = 3 or version = 9",
            format!("column 12, at `sise = 3 or version …`: no such field; there are {fields}"),
        ),
        ("key = a\n\u{1b}", format!("column 9, at `\\u{{1b}}`: {follow}")),
    ];
    for (text, expected) in cases {
        let error = parse(text).expect_err(text).to_string();
        assert_eq!(&error, expected, "{text}");
        assert!(!error.contains(char::is_control));
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |times: usize| format!("{}version = 7{}", "(".repeat(times), ")".repeat(times));
    assert!(parse(&nested(DEEPEST)).is_ok_and(|filter| filter.matches(&look_up)));
    let error = parse(&nested(DEEPEST + 1)).expect_err("too deep");
    assert_eq!((error.column, error.why.contains("50 deep")), (DEEPEST + 1, true), "{error}");
    assert!(parse(&"not ".repeat(100_000)).is_err());
    assert!(parse(&nested(100_000)).is_err());
    // What isn't nested may be long.
    let long = vec!["version = 7"; 100_000].join(" and ");
    assert!(parse(&long).is_ok_and(|filter| filter.matches(&look_up)));
}

#[test]
fn a_filter_names_the_fields_that_it_needs() {
    let filter = parse("not (KEY = a or version > 1) and expires is_null or key = b").expect("a filter");
    assert_eq!(filter.fields(), BTreeSet::from(["expires", "key", "version"]));
    assert_eq!(filter.to_string(), "(not (key == a or version > 1) and expires is_null) or key == b");
    assert_eq!(parse("").map(|filter| filter.fields()), Ok(BTreeSet::new()));
}

#[test]
fn what_a_lookup_gives_of_another_kind_matches_nothing() {
    let odd = |name: &str| match name {
        "key" => Some(Field::Number(7)),
        "modified" => Some(Field::Time("never".into())),
        "groups" => Some(Field::List(Vec::new())),
        _ => Some(Field::Text("7".into())),
    };
    for text in ["key = 7", "version = 7", "modified > 1970-01-01", "modified != 1970-01-01", "groups != a"] {
        assert!(!parse(text).expect(text).matches(&odd), "{text}");
    }
    assert!(parse("modified is_null and groups is_null").expect("a filter").matches(&odd));
}

fn thing<'f>(owner: Option<&'f str>, version: i64, modified: &'f str) -> impl Fn(&str) -> Option<Field<'f>> {
    move |name| match name {
        "owner" => owner.map(|owner| Field::Text(owner.into())),
        "version" => Some(Field::Number(version)),
        "modified" => Some(Field::Time(modified.into())),
        "secret" => Some(Field::Flag(version > 1)),
        "groups" => Some(Field::List(owner.into_iter().map(Into::into).collect())),
        _ => None,
    }
}

#[test]
fn an_order_of_several_fields() {
    let one = thing(Some("alice"), 9, "2027-01-31T12:00:00+02:00");
    let other = thing(Some("bob"), 10, "2027-01-31T11:00:00Z");
    let third = thing(None, 10, "");
    let cases: &[(&str, Ordering, Ordering)] = &[
        ("", Ordering::Equal, Ordering::Equal),
        ("owner", Ordering::Less, Ordering::Less),
        ("+owner", Ordering::Less, Ordering::Less),
        ("-owner", Ordering::Greater, Ordering::Less),
        ("version", Ordering::Less, Ordering::Equal),
        ("-VERSION", Ordering::Greater, Ordering::Equal),
        ("modified", Ordering::Less, Ordering::Less),
        ("-modified", Ordering::Greater, Ordering::Less),
        ("secret", Ordering::Equal, Ordering::Equal),
        ("groups", Ordering::Less, Ordering::Less),
        ("secret,-version,owner", Ordering::Greater, Ordering::Less),
        ("+secret -version  owner", Ordering::Greater, Ordering::Less),
        (" -secret , -owner ", Ordering::Greater, Ordering::Less),
        ("key", Ordering::Equal, Ordering::Equal),
    ];
    for (text, first, last) in cases {
        let sort = Sort::parse(text, KNOWN).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(sort.place(&one).cmp(&sort.place(&other)), *first, "{text}");
        assert_eq!(sort.place(&other).cmp(&sort.place(&one)), first.reverse(), "{text}");
        assert_eq!(sort.place(&other).cmp(&sort.place(&third)), *last, "{text}, null stands last");
        assert_eq!(sort.is_empty(), text.is_empty());
        assert_eq!(Sort::parse(&sort.to_string(), KNOWN), Ok(sort), "{text}");
    }
    assert_eq!(Sort::parse("-version,+key", KNOWN).unwrap().fields(), BTreeSet::from(["key", "version"]));
}

#[test]
fn a_wrong_order_is_pointed_at() {
    let fields = "key, name, owner, version, group_id, modified, expires, secret, groups";
    let cases: &[(&str, String)] = &[
        ("+size", format!("column 2, at `size`: no such field; there are {fields}")),
        ("-", "column 2, at the end: a field's name belongs here".into()),
        ("--key", "column 2, at `-key`: a field's name belongs here".into()),
        ("key,,owner", "column 5, at `,owner`: a field's name belongs here".into()),
        ("key,", "column 4, at `,`: a field belongs behind this comma".into()),
        ("key-owner", "column 4, at `-owner`: only a comma, a blank or the end can follow here".into()),
        ("key desc", format!("column 5, at `desc`: no such field; there are {fields}")),
    ];
    for (text, expected) in cases {
        assert_eq!(&Sort::parse(text, KNOWN).expect_err(text).to_string(), expected, "{text}");
    }
}

/// Any condition that the grammar can express.
fn condition() -> impl Strategy<Value = Expression> {
    let field = prop::sample::select(KNOWN);
    let operator = prop::sample::select(&Operator::ALL[..]).prop_map(|(_, operator)| operator);
    let texts = prop::collection::vec(any::<String>(), 1..4);
    let numbers = prop::collection::vec(any::<i64>(), 3);
    (field, operator, texts, numbers, any::<bool>()).prop_filter_map("no meaning", |drawn| {
        let (field, operator, texts, numbers, bracketed) = drawn;
        let bracketed = bracketed && !operator.asks_for_null() && !operator.asks_for_order();
        let mut written: Vec<String> = match field.kind {
            Kind::Number => numbers.iter().map(ToString::to_string).collect(),
            Kind::Time if !operator.asks_for_text() => numbers.iter().map(|n| Timestamp(*n).to_string()).collect(),
            Kind::Flag => numbers.iter().map(|n| (n % 2 == 0).to_string()).collect(),
            _ => texts,
        };
        let count = if operator.asks_for_null() {
            0
        } else if bracketed {
            written.len()
        } else {
            1
        };
        written.truncate(count);
        let suits = match field.kind {
            Kind::Text | Kind::List => !operator.asks_for_order(),
            Kind::Number => !operator.asks_for_text(),
            Kind::Flag => !operator.asks_for_text() && !operator.asks_for_order(),
            Kind::Time => true,
        };
        let meaning = |text: &str| match field.kind {
            Kind::Number => Meaning::Number(text.parse().unwrap()),
            Kind::Time if !operator.asks_for_text() => Meaning::Time(Timestamp::parse(text).unwrap()),
            Kind::Flag => Meaning::Flag(text.parse().unwrap()),
            _ => Meaning::Text(fold(text)),
        };
        let values = written.into_iter().map(|text| Value { meaning: meaning(&text), written: text }).collect();
        suits.then_some(Expression::Condition(Condition { field, operator, values, bracketed }))
    })
}

fn expression() -> impl Strategy<Value = Expression> {
    condition().prop_recursive(4, 32, 4, |within| {
        let several = prop::collection::vec(within.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expression::Any),
            several.prop_map(Expression::All),
            within.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_as_the_same(expression in expression()) {
        let filter = Filter(Some(expression));
        prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
    }

    #[test]
    fn a_negation_is_the_opposite_where_there_is_an_answer(expression in expression()) {
        let negated = Expression::Not(Box::new(expression.clone())).answer(&look_up);
        prop_assert_eq!(negated, expression.answer(&look_up).map(|answer| !answer));
    }

    #[test]
    fn any_pieces_of_the_language_are_read_or_pointed_at(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12),
    ) {
        let text = pieces.concat();
        match parse(&text) {
            Ok(filter) => {
                filter.matches(&look_up);
                prop_assert_eq!(parse(&filter.to_string()), Ok(filter));
            }
            Err(error) => prop_assert!(text.ends_with(&error.rest) && !error.why.is_empty(), "{}", error),
        }
        if let Ok(sort) = Sort::parse(&text, KNOWN) {
            prop_assert_eq!(Sort::parse(&sort.to_string(), KNOWN), Ok(sort));
        }
    }
}

const PIECES: &[&str] = &[
    "key",
    "version",
    "groups",
    "modified",
    " ",
    " ",
    " ",
    "=",
    "!=",
    "<",
    "starts_with",
    "is_null",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "\\",
    "7",
    "x",
    "2027-01-31",
    "-",
    "+",
    "\u{a0}",
    "é",
];
