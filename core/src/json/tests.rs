use std::borrow::Cow;

use super::*;

#[test]
fn a_number_is_whole_by_its_value_and_not_by_how_it_is_written() {
    let whole_numbers = [
        ("0", 0),
        ("-0", 0),
        ("-0.0e5", 0),
        ("0e99999999999999999999", 0),
        ("1000", 1_000),
        ("1000.0", 1_000),
        ("1000.000", 1_000),
        ("1e3", 1_000),
        ("1E+3", 1_000),
        ("1.5e1", 15),
        ("0.001e6", 1_000),
        ("10000e-1", 1_000),
        ("18446744073709551615", u64::MAX),
        ("18446744073709551615.00", u64::MAX),
        ("184467440737095516150e-1", u64::MAX),
    ];
    for (text, value) in whole_numbers {
        assert_eq!(whole(text), Some(value), "{text}");
    }
    let others = [
        "-1",
        "1.5",
        "1e-1",
        "18446744073709551616",
        "1e400",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "\"1\"",
        "true",
        "[1]",
        "",
        "-",
    ];
    for text in others {
        assert_eq!(whole(text), None, "{text}");
    }
}

#[test]
fn the_value_in_a_place_is_found_as_a_tree_would_find_it() {
    let text = r#"{"a":{"b":[1,{"c":12345678901234567890123}]},"x/y":1,"t~u":2,"":3,"twice":1,"twice":2, "é" : "\u00e9"}"#;
    let cases = [
        ("/a/b/1/c", Some("12345678901234567890123")),
        ("/a/b/0", Some("1")),
        ("/a/b/2", None),
        ("/a/b/01", None),
        ("/a/b/-", None),
        ("/x~1y", Some("1")),
        ("/t~0u", Some("2")),
        ("/", Some("3")),
        ("/twice", Some("2")),
        ("/é", Some("\"\\u00e9\"")),
        ("a", None),
        ("/a/b/0/c", None),
    ];
    for (pointer, expected) in cases {
        assert_eq!(at(text, pointer), expected, "{pointer}");
    }
    assert_eq!(at("7", ""), Some("7"));
}

#[test]
fn a_text_of_any_depth_is_walked_without_a_stack() {
    let deep = format!(r#"{{"deep":{}{},"name":"n"}}"#, "[".repeat(500_000), "]".repeat(500_000));
    assert_eq!(Object::read(&deep, &["name"]).unwrap().take("name"), Some("\"n\""));
    assert_eq!(at(&deep, "/name"), Some("\"n\""));
    assert!(with_members(&deep, &[("name", "1")]).unwrap().ends_with(r#","name":1}"#));
}

#[test]
fn a_string_that_rust_cannot_hold_is_none_and_spoils_nothing_else() {
    assert_eq!(string(r#""a\u00e9""#).as_deref(), Some("aé"));
    assert!(matches!(string("\"plain\""), Some(Cow::Borrowed("plain"))));
    assert_eq!(string(r#""\ud800""#), None);
    let text = r#"{"\ud800":1,"name":"\udc00","rest":2}"#;
    let mut object = Object::read(text, &["name", "rest"]).unwrap();
    assert_eq!((object.take("name"), object.take("rest")), (Some(r#""\udc00""#), Some("2")));
}

#[test]
fn a_known_name_that_comes_twice_is_told_however_it_is_escaped() {
    let object = |text| Object::read(text, &["id", "name"]).unwrap();
    assert_eq!(object(r#"{"id":1,"\u0069d":1}"#).twice(), Some("id"));
    assert_eq!(object(r#"{"id":null,"id":1}"#).twice(), Some("id"));
    let other = object(r#"{"other":1,"other":1,"name":null}"#);
    assert_eq!((other.twice(), other.unknown(), other.has("name")), (None, Some("other"), true));
}

#[test]
fn a_member_replaces_all_of_its_name_and_leaves_the_others_as_they_are() {
    let with = |text| with_members(text, &[("id", "\"7\"")]).unwrap();
    assert_eq!(with("{}"), r#"{"id":"7"}"#);
    assert_eq!(with(r#" { "id" : 1, "a" : [ 1.50 ], "\u0069d":2 } "#), r#"{"a":[ 1.50 ],"id":"7"}"#);
    assert!(with_members("[]", &[]).is_err() && with_members("{} x", &[]).is_err());
}

#[test]
fn a_list_is_bounded_before_it_is_held() {
    assert_eq!(list("[1, \"a\"]", 2), Some(vec!["1", "\"a\""]));
    assert_eq!((list("[1,2,3]", 2), list("{}", 2), list("1", 2)), (None, None, None));
}
