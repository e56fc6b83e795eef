//! Tests of timestamps: grammar, order, and calendar arithmetic against an independent implementation.

use ::time::{OffsetDateTime, format_description::well_known::Rfc3339};
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

#[test]
fn the_wire_text_is_kept() {
    for text in [
        "2025-01-06T12:00:00Z",
        "2025-01-06T12:00:00.123Z",
        "2025-01-06T12:00:00.123456789Z",
        "2025-01-06T12:00:00.1234567890123Z",
        "2025-01-06T12:00:00+00:00",
        "2025-01-06T12:00:00-11:30",
        "2024-02-29T23:59:59.5+14:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ] {
        assert_eq!(at(text).as_str(), text);
        assert_eq!(at(text).to_string(), text);
        let json = serde_json::to_string(&at(text)).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), at(text));
    }
}

#[test]
fn other_shapes_are_refused() {
    for text in [
        "",
        "soon",
        "2025-01-06",
        "2025-01-06 12:00:00Z",
        "2025-01-06t12:00:00z",
        "2025-01-06T12:00:00z",
        "2025-01-06T12:00:00",
        "2025-01-06T12:00Z",
        "2025-01-06T12:00:00,5Z",
        "2025-01-06T12:00:00.Z",
        "2025-01-06T12:00:00+0000",
        "2025-01-06T12:00:00+00",
        "2025-01-06T12:00:00Z ",
        "2025-01-06T12:00:00ZZ",
        "12025-01-06T12:00:00Z",
        "-025-01-06T12:00:00Z",
        "+025-01-06T12:00:00Z",
        "2025-1-06T12:00:00Z",
        "2025-01-06T12:00:0\u{660}Z",
        "1736164800",
    ] {
        assert_eq!(Timestamp::parse(text), Err(TimestampError::Malformed), "{text:?}");
    }
    let long = format!("2025-01-06T12:00:00.{}Z", "1".repeat(44));
    assert_eq!(Timestamp::parse(&long), Err(TimestampError::TooLong));
}

#[test]
fn dates_and_times_that_do_not_exist_are_refused() {
    for text in [
        "2099-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2099-04-31T00:00:00Z",
        "2099-13-01T00:00:00Z",
        "2099-00-01T00:00:00Z",
        "2099-01-00T00:00:00Z",
        "2099-01-01T24:00:00Z",
        "2099-01-01T00:60:00Z",
        "2099-01-01T00:00:60Z",
        "2016-12-31T23:59:60Z",
        "2099-01-01T00:00:00+24:00",
        "2099-01-01T00:00:00-00:60",
        "2025-99-99T99:99:99Z",
    ] {
        assert_eq!(Timestamp::parse(text), Err(TimestampError::OutOfRange), "{text}");
    }
}

#[test]
fn the_instant_of_expiry_is_still_valid() {
    for (expires, now, expired) in [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000Z", false),
        ("2026-03-01T11:59:59.999Z", "2026-03-01T12:00:00.000Z", true),
        ("2026-03-01T12:00:00.001Z", "2026-03-01T12:00:00.000Z", false),
        ("2033-10-04T04:35:29Z", "2033-10-04T04:35:29.001Z", true),
        ("2023-11-23T11:53:34.2821695Z", "2023-11-23T11:53:34.282Z", false),
        ("2073-02-19T15:39:33.452945925Z", "2073-02-19T16:39:33.452Z", true),
        ("2030-08-17T18:04:18-08:30", "2030-08-18T02:34:18Z", false),
        ("2030-08-17T18:04:18-08:30", "2030-08-18T02:34:19.000Z", true),
        ("2076-01-25T20:47:01+14:00", "2076-01-25T06:47:01.000Z", false),
        ("2026-03-01T12:00:00.000000001Z", "2026-03-01T12:00:00.000000002Z", true),
    ] {
        assert_eq!(at(expires).expired_at(&at(now)), expired, "{expires} at {now}");
    }
}

#[test]
fn equality_is_of_texts_and_order_is_of_instants() {
    let (zulu, offset) = (at("2026-03-01T12:00:00Z"), at("2026-03-01T13:00:00+01:00"));
    assert_ne!(zulu, offset);
    assert_eq!(zulu.cmp_instant(&offset), Ordering::Equal);
    assert!(!zulu.is_before(&offset));
    assert_eq!(zulu.unix_seconds(), offset.unix_seconds());
}

#[test]
fn a_fraction_is_written_only_when_there_is_one() {
    for (millis, text) in [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (1_772_366_700_000, "2026-03-01T12:05:00Z"),
        (i64::MIN, "0000-01-01T00:00:00Z"),
        (i64::MAX, "9999-12-31T23:59:59.999Z"),
    ] {
        assert_eq!(Timestamp::from_unix_millis(millis).as_str(), text);
    }
    assert_eq!(Timestamp::from_unix(1, 1500).as_str(), "1970-01-01T00:00:02.500Z");
    assert_eq!(Timestamp::from_unix(i64::MAX, 999).as_str(), "9999-12-31T23:59:59.999Z");
}

#[test]
fn durations_move_instants_and_stop_at_the_ends() {
    let now = at("2026-03-01T12:00:00.0009Z");
    assert_eq!(now.plus(Duration::from_secs(300)).as_str(), "2026-03-01T12:05:00Z");
    assert_eq!(now.plus(Duration::from_millis(90_500)).as_str(), "2026-03-01T12:01:30.500Z");
    assert_eq!(now.minus(Duration::from_millis(1)).as_str(), "2026-03-01T11:59:59.999Z");
    assert_eq!(now.plus(Duration::MAX).as_str(), "9999-12-31T23:59:59.999Z");
    assert_eq!(now.minus(Duration::MAX).as_str(), "0000-01-01T00:00:00Z");
    assert_eq!(
        at("2026-03-01T12:00:01.25Z").since(&at("2026-03-01T12:00:00.5Z")),
        Duration::from_millis(750)
    );
    assert_eq!(at("2026-03-01T12:00:00Z").since(&at("2026-03-01T12:00:01Z")), Duration::ZERO);
}

#[test]
fn shared_clocks_are_clocks() {
    #[derive(Debug)]
    struct Still;
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix(1, 0)
        }
    }
    let shared: Arc<dyn Clock> = Arc::new(Still);
    assert_eq!(Clock::now(&shared), Timestamp::from_unix(1, 0));
}

#[test]
fn every_day_of_the_calendar_agrees_with_an_independent_one() {
    let mut expected = OffsetDateTime::from_unix_timestamp(FIRST_MILLI / 1000).unwrap().date();
    let mut days = FIRST_MILLI / 1000 / SECONDS_PER_DAY;
    loop {
        let (year, month, day) = date_from_days(days);
        let parts = (
            expected.year().unsigned_abs(),
            u32::from(u8::from(expected.month())),
            u32::from(expected.day()),
        );
        assert_eq!((year, month, day), parts);
        assert_eq!(days_from_date(year, month, day), days);
        assert!(day <= days_in(year, month));
        days += 1;
        match expected.next_day() {
            Some(next) if next.year() <= 9999 => expected = next,
            _ => break,
        }
    }
    assert_eq!(days, LAST_MILLI / 1000 / SECONDS_PER_DAY + 1);
}

proptest! {
    #[test]
    fn written_timestamps_agree_with_an_independent_formatter(millis in FIRST_MILLI..=LAST_MILLI) {
        let ours = Timestamp::from_unix_millis(millis);
        let theirs = OffsetDateTime::parse(ours.as_str(), &Rfc3339).unwrap();
        prop_assert_eq!(theirs.unix_timestamp_nanos(), i128::from(millis) * 1_000_000);
        prop_assert_eq!(ours.unix_millis(), millis);
        let read = Timestamp::parse(ours.as_str()).unwrap();
        prop_assert_eq!(read.cmp_instant(&ours), Ordering::Equal);
    }

    #[test]
    fn parsed_timestamps_agree_with_an_independent_parser(
        date in "[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])",
        time in "T([01][0-9]|2[0-4]):[0-5][0-9]:([0-5][0-9])",
        rest in "(\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])",
    ) {
        let text = format!("{date}{time}{rest}");
        match (Timestamp::parse(&text), OffsetDateTime::parse(&text, &Rfc3339)) {
            (Ok(ours), Ok(theirs)) => {
                let nanos = i128::from(ours.seconds) * 1_000_000_000 + i128::from(ours.nanos);
                prop_assert_eq!(nanos, theirs.unix_timestamp_nanos());
            }
            (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text),
        }
    }

    #[test]
    fn no_text_panics(text in "(.{0,70}|[0-9TZ:+.-]{0,70})") {
        let _ = Timestamp::parse(&text);
    }
}
