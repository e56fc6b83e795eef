//! Tests of the auth-param grammar: what deployed peers write, and what hostile ones do.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const BASE: &str = r#"Payment id="a", realm="r", method="tempo", intent="charge", request="e30""#;

/// The values of `id` of all challenges, or the error.
fn ids(header: &str) -> Result<Vec<String>, GrammarError> {
    let found = challenges_in_text(header)?;
    Ok(found.iter().map(|params| params.get("id").unwrap_or("-").to_owned()).collect())
}

fn one(header: &[u8]) -> AuthParams<'_> {
    let mut found = challenges(header).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn description(text: &str) -> Result<String, GrammarError> {
    let header = format!("{BASE}, description={text}");
    let found = challenges_in_text(&header)?;
    Ok(found[0].get("description").unwrap().to_owned())
}

#[test]
fn parameters_are_read_in_any_order_case_and_spacing() {
    for header in [
        r#"Payment id="a", method="tempo", request="e30""#,
        r#"pAyMeNt ID="a",METHOD="tempo",Request="e30""#,
        "Payment\tid \t = \t\"a\" ,\tmethod  =  tempo,, ,request\t=e30",
        r#", Payment request=e30, method=tempo, id=a,"#,
        r#"Payment , x-ext="b", id="a", method="tempo", request="e30", charset=",""#,
    ] {
        let params = one(header.as_bytes());
        assert_eq!(
            (params.get("id"), params.get("method"), params.get("request")),
            (Some("a"), Some("tempo"), Some("e30")),
            "{header}"
        );
        assert_eq!(params.get("nonce"), None);
    }
}

#[test]
fn parameters_are_taken_and_iterated_in_their_written_order() {
    let mut params = one(br#"Payment B="1", a="2", c="3""#);
    assert_eq!(params.take("a").as_deref(), Some("2"));
    assert_eq!(params.take("a"), None);
    assert_eq!(params.iter().collect::<Vec<_>>(), [("b", "1"), ("c", "3")]);
    assert_eq!(params.len(), 2);
    assert_eq!(params.into_iter().count(), 2);
}

#[test]
fn challenges_of_other_schemes_are_skipped() {
    for neighbour in [
        "Negotiate",
        "Negotiate YII=",
        "Bearer abc==",
        r#"Basic realm="x""#,
        r#"Basic realm="Payment ", charset="UTF-8""#,
        r#"Basic realm="a \" Payment id=\"b\"""#,
        r#"Digest realm="Payment here", nonce="abc, Payment id=", qop="auth""#,
        r#"Newauth realm="apps", type=1, title="Login to \"apps\"""#,
        r#"DPoP algs="ES256", Payment="x""#,
        r#"DPoP algs="ES256", Payment = "x""#,
        r#"XPayment id="b""#,
        r#"Payments id="b""#,
        "Mal;formed ???, =, \u{e9}",
        r#"Mal "quoted, Payment " formed"#,
        "Payment-Token x=1",
    ] {
        for header in [format!("{neighbour}, {BASE}"), format!("{BASE}, {neighbour}")] {
            assert_eq!(ids(&header), Ok(vec!["a".to_owned()]), "{header}");
        }
        let between = format!("{BASE},{neighbour} ,\tPAYMENT id=c");
        assert_eq!(ids(&between), Ok(vec!["a".to_owned(), "c".to_owned()]), "{between}");
        assert_eq!(ids(neighbour), Ok(vec![]), "{neighbour}");
    }
}

#[test]
fn fields_without_payment_hold_no_challenge() {
    for header in [
        "",
        " ,\t,",
        "Bearer x",
        "Payment =a",
        r#"Paymentid="a", realm="r""#,
        r#"Basic realm="x" Payment id="a", realm="r""#,
        r#"Basic realm="Payment id=\"a\", realm=\"r\"""#,
        "Basic realm=\"open",
    ] {
        assert_eq!(ids(header), Ok(vec![]), "{header}");
    }
}

#[test]
fn an_open_quote_of_a_neighbour_loses_only_what_it_may_swallow() {
    let open = r#"Basic realm="x"#;
    assert_eq!(ids(&format!("{open}, Payment id=a")), Err(GrammarError::Unterminated { at: 12 }));
    assert_eq!(ids(&format!("{BASE}, {open}")), Ok(vec!["a".to_owned()]));
}

#[test]
fn repeated_parameters_are_refused_in_any_case() {
    for (extra, at) in [("id=\"b\"", 75), ("ID=\"b\"", 75), ("x=1, X=2", 80), ("request=e30", 75)] {
        assert_eq!(
            ids(&format!("{BASE}, {extra}")),
            Err(GrammarError::Duplicate { at }),
            "{extra}"
        );
    }
    assert_eq!(ids(&format!("{BASE}, {BASE}")), Ok(vec!["a".to_owned(); 2]));
}

#[test]
fn malformed_payment_challenges_are_refused() {
    for (header, error) in [
        ("Payment", GrammarError::Malformed { at: 0 }),
        ("Payment ", GrammarError::Malformed { at: 0 }),
        ("Payment, Payment id=a", GrammarError::Malformed { at: 0 }),
        ("Payment e30", GrammarError::Malformed { at: 0 }),
        ("Payment id=, realm=\"r\"", GrammarError::Malformed { at: 8 }),
        ("Payment id=\"a\"; realm=\"r\"", GrammarError::Malformed { at: 14 }),
        ("Payment id=a; realm=r", GrammarError::Malformed { at: 12 }),
        ("Payment id=\"a\" realm=\"r\"", GrammarError::Malformed { at: 15 }),
        ("Payment id=a\"b\"", GrammarError::Malformed { at: 12 }),
        ("Payment id=\u{e9}", GrammarError::Malformed { at: 8 }),
        ("Payment id=\"a", GrammarError::Unterminated { at: 11 }),
        ("Payment id=\"a\\\"", GrammarError::Unterminated { at: 11 }),
        ("Payment id=\"a\\", GrammarError::Unterminated { at: 11 }),
        ("Payment id=a, Payment realm=\"b", GrammarError::Unterminated { at: 28 }),
    ] {
        assert_eq!(ids(header), Err(error), "{header}");
    }
}

#[test]
fn bare_words_behind_a_closed_value_end_the_challenge() {
    assert_eq!(ids(&format!("{BASE} garbage")), Ok(vec!["a".to_owned()]));
    assert_eq!(
        ids(&format!("{BASE} garbage, Payment id=b")),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(description(r#""Payment for "Premium" service""#), Ok("Payment for ".to_owned()));
    assert_eq!(description(r#""a 6" pizza""#), Ok("a 6".to_owned()));
}

#[test]
fn escapes_are_read_as_deployed_peers_write_them() {
    for (quoted, text) in [
        (r#""a\b\c""#, "abc"),
        (r#""say \"hi\" \\ \, \;""#, "say \"hi\" \\ , ;"),
        (r#""caf\u00e9 \u2615""#, "caf\u{e9} \u{2615}"),
        (r#""\ud83d\ude00\uD83D\uDE00""#, "\u{1F600}\u{1F600}"),
        (r#""\\u00e9""#, "\\u00e9"),
        (r#""\\\u00e9""#, "\\\u{e9}"),
        (r#""\u00g9 \u12""#, "u00g9 u12"),
        (r#""\u0041\u0022\u005c\u0009""#, "A\"\\\t"),
        ("\"\\\u{2615}\"", "\u{2615}"),
        (r#""""#, ""),
    ] {
        assert_eq!(description(quoted).as_deref(), Ok(text), "{quoted}");
    }
}

#[test]
fn escapes_that_are_no_text_are_refused() {
    for quoted in
        [r#""\ud83d""#, r#""\ude00""#, r#""\ud83d\ud83d""#, r#""\ud83dx""#, r#""\ud83d\\ude00""#]
    {
        assert_eq!(description(quoted), Err(GrammarError::LoneSurrogate { at: 88 }), "{quoted}");
    }
    for quoted in [r#""\u000a""#, r#""\u000D""#] {
        assert_eq!(description(quoted), Err(GrammarError::Control { at: 88 }), "{quoted}");
    }
}

#[test]
fn control_characters_are_refused_anywhere() {
    for control in ["\r", "\n", "\0", "\u{1b}", "\u{7f}"] {
        for header in [
            format!("Payment{control}id=a"),
            format!("Payment id=\"a{control}b\""),
            format!("{BASE},{control} Payment id=b"),
        ] {
            assert!(matches!(ids(&header), Err(GrammarError::Control { .. })), "{header:?}");
            assert!(challenges(header.as_bytes()).is_err());
        }
    }
    assert_eq!(description("\"a\tb\"").as_deref(), Ok("a\tb"));
}

#[test]
fn bytes_are_latin1_and_text_stays_text() {
    assert_eq!(one(b"Payment realm=\"caf\xe9\"").get("realm"), Some("caf\u{e9}"));
    assert_eq!(one(b"Payment realm=\"caf\xe9\\\"\"").get("realm"), Some("caf\u{e9}\""));
    let header = "Payment realm=\"\u{2014} \\\"\u{1F600}\\\"\"";
    assert_eq!(challenges_in_text(header).unwrap()[0].get("realm"), Some("\u{2014} \"\u{1F600}\""));
}

#[test]
fn plain_values_are_not_copied() {
    for (name, value) in one(BASE.as_bytes()) {
        assert!(matches!((&name, &value), (Cow::Borrowed(_), Cow::Borrowed(_))), "{name}");
    }
}

#[test]
fn limits_are_exact() {
    let request = |length| format!("Payment request=\"{}\"", "e".repeat(length));
    assert_eq!(one(request(16_384).as_bytes()).get("request").unwrap().len(), 16_384);
    assert_eq!(ids(&request(16_385)), Err(GrammarError::RequestTooLong));

    let params =
        |count| (0..count).fold("Payment ".to_owned(), |text, index| format!("{text}p{index}=1,"));
    assert_eq!(one(params(64).as_bytes()).len(), 64);
    assert_eq!(ids(&params(65)), Err(GrammarError::TooManyParams));

    assert_eq!(ids(&"Payment id=a,".repeat(128)).unwrap().len(), 128);
    assert_eq!(ids(&"Payment id=a,".repeat(129)), Err(GrammarError::TooManyChallenges));

    let field = |length: usize| format!("Payment x=\"{}\"", "e".repeat(length - 12));
    assert_eq!(one(field(65_536).as_bytes()).len(), 1);
    assert_eq!(ids(&field(65_537)), Err(GrammarError::TooLong));
}

#[test]
fn quoted_values_are_printable_ascii() {
    for (value, quoted) in [
        ("", r#""""#),
        ("id with \"quotes\" \\", r#""id with \"quotes\" \\""#),
        ("caf\u{e9} \u{2615}", r#""caf\u00e9 \u2615""#),
        ("\u{1F600}", r#""\ud83d\ude00""#),
        ("tab\there", "\"tab\there\""),
        ("\u{9b}\u{2028}", r#""\u009b\u2028""#),
        ("\\u00e9", r#""\\u00e9""#),
    ] {
        let mut out = String::from("x=");
        quote_into(&mut out, value).unwrap();
        assert_eq!(out, format!("x={quoted}"));
    }
}

#[test]
fn line_breaks_are_never_written() {
    for value in ["a\r\nb", "a\nb", "a\rb"] {
        let mut out = String::from("x=");
        assert!(
            matches!(quote_into(&mut out, value), Err(GrammarError::Control { .. })),
            "{value:?}"
        );
        assert_eq!(out, "x=");
    }
}

#[test]
fn other_control_characters_travel_as_escapes() {
    let mut out = String::new();
    quote_into(&mut out, "\0\u{1b}\u{7f}").unwrap();
    assert_eq!(out, r#""\u0000\u001b\u007f""#);
    assert_eq!(description(&out).unwrap(), "\0\u{1b}\u{7f}");
}

/// Sixteen times the input may cost sixteen times the work, not 256 times.
#[test]
fn hostile_input_costs_no_more_than_one_pass() {
    let fastest = |header: &str| -> Duration {
        let times = (0..9).map(|_| {
            let start = Instant::now();
            let _ = std::hint::black_box(challenges(std::hint::black_box(header.as_bytes())));
            start.elapsed()
        });
        times.min().unwrap()
    };
    for (start, unit) in [
        ("", ","),
        ("", ", Payment"),
        ("", "\""),
        ("", "a\", "),
        ("Bearer ", "\\"),
        ("Basic x=\"", ", Payment "),
        ("Payment id=\"", "\\\\"),
        ("Payment id=\"", "\\u00e9"),
        ("Payment id=\"", "\\\""),
        ("Payment id=a", " "),
        ("Payment id=a", ",a"),
        ("Payment id=a ", "x\"y\""),
        ("Payment ", "a=b,"),
        ("Payment ", "="),
    ] {
        let header = |length: usize| {
            let mut text = start.to_owned();
            text.extend(std::iter::repeat_n(unit, (length - start.len()) / unit.len()));
            text
        };
        let (short, long) = (fastest(&header(4 * 1024)), fastest(&header(64 * 1024)));
        let bound = (short * 100).max(Duration::from_millis(20));
        assert!(long < bound, "{start}{unit}: {short:?} became {long:?}");
    }
}

proptest! {
    #[test]
    fn quoted_values_survive(value in "[\\t -~\u{80}-\u{10FFFF}]{0,40}") {
        let mut header = String::from("Payment id=");
        quote_into(&mut header, &value).unwrap();
        prop_assert!(header.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)));
        let (read, text) = (one(header.as_bytes()), challenges_in_text(&header).unwrap());
        prop_assert_eq!(read.get("id"), Some(value.as_str()));
        prop_assert_eq!(&text[0], &read);
    }

    #[test]
    fn challenges_survive_beside_quoted_text(values in prop::collection::vec("[ -~]{0,30}", 1..6)) {
        let mut header = String::new();
        for value in &values {
            header.push_str("Basic realm=");
            quote_into(&mut header, value).unwrap();
            header.push_str(", Payment id=");
            quote_into(&mut header, value).unwrap();
            header.push_str(", ");
        }
        prop_assert_eq!(ids(&header), Ok(values));
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = challenges(&bytes);
    }

    #[test]
    fn no_text_that_resembles_a_challenge_panics(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "Payment", "id", "=", "\"", "\\", "\\u", "d83d", "00e9", ",", " ", "\t", "Basic", ";",
                "\u{e9}", "\u{1F600}",
            ]),
            0..40,
        ),
    ) {
        let header = parts.concat();
        let _ = challenges_in_text(&header);
        let _ = challenges(header.as_bytes());
    }
}
