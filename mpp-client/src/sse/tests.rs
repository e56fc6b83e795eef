//! The reader of events: the standard's forms, any pieces, any bytes.

use proptest::prelude::*;

use super::*;

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<(String, String)>, TooLong> {
    let mut reader = Reader::new();
    let mut all = Vec::new();
    for piece in pieces {
        reader.push(piece)?;
        while let Some(Item { event, data }) = reader.next_item() {
            all.push((event, data));
        }
    }
    Ok(all)
}

#[test]
fn events_are_read_as_the_standard_has_them() {
    let cases: [(&str, &[(&str, &str)]); 16] = [
        ("data: a\n\n", &[("message", "a")]),
        ("data:a\n\n", &[("message", "a")]),
        ("data:  a\n\n", &[("message", " a")]),
        ("data: a\ndata:\ndata:b\n\n", &[("message", "a\n\nb")]),
        ("data\n\n", &[("message", "")]),
        ("data\ndata\n\n", &[("message", "\n")]),
        ("event: payment-receipt\ndata: {}\n\n", &[("payment-receipt", "{}")]),
        ("event: a\nevent: b\ndata: 1\n\n", &[("b", "1")]),
        ("event: a\n\ndata: 1\n\n", &[("message", "1")]),
        (": note\nid: 1\nretry: 5\ndata: 1\n\n", &[("message", "1")]),
        (
            "data: a\r\n\r\ndata: b\r\rdata: c\n\n",
            &[("message", "a"), ("message", "b"), ("message", "c")],
        ),
        ("\u{feff}data: a\n\n", &[("message", "a")]),
        ("data: a\n\n\u{feff}data: b\n\n", &[("message", "a")]),
        ("data: a\n\ndata: cut off", &[("message", "a")]),
        ("Data: a\ndata : b\n\n", &[]),
        ("\n\n\n", &[]),
    ];
    for (text, expected) in cases {
        let read = read([text.as_bytes()]).unwrap();
        let read: Vec<_> = read.iter().map(|(e, d)| (&**e, &**d)).collect();
        assert_eq!(read, expected, "{text:?}");
    }
}

#[test]
fn s17_data_that_looks_like_an_event_stays_data() {
    let text = "data: x\ndata: event: payment-receipt\ndata: data: {}\n\n";
    let expected = "x\nevent: payment-receipt\ndata: {}";
    assert_eq!(read([text.as_bytes()]).unwrap(), [("message".to_owned(), expected.to_owned())]);
}

#[test]
fn s13_an_event_without_end_is_refused_before_it_is_held() {
    let line = vec![b'x'; 64 * 1024];
    let lines = [b"data: ".as_slice(), &line, b"\n"].concat();
    assert_eq!(read(std::iter::repeat_n(line.as_slice(), 100)), Err(TooLong));
    assert_eq!(read(std::iter::repeat_n(lines.as_slice(), 100)), Err(TooLong));
    let mut whole = b"data:".to_vec();
    whole.resize(LONGEST - 1, b'x');
    whole.extend_from_slice(b"\n\n");
    assert_eq!(read([whole.as_slice()]).unwrap().len(), 1);
}

/// Bytes that matter to the format, often.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        Just(b"data".to_vec()),
        Just(b"event".to_vec()),
        Just(b": ".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(BOM.to_vec()),
        Just("é".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(words, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn events_are_the_same_wherever_the_bytes_were_split(
        bytes in bytes(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(bytes.len());
        let mut from = 0;
        let pieces: Vec<&[u8]> = cuts.iter().map(|to| {
            let piece = &bytes[from..*to];
            from = *to;
            piece
        }).collect();
        prop_assert_eq!(read(pieces), read([bytes.as_slice()]));
        prop_assert_eq!(read(bytes.chunks(1)), read([bytes.as_slice()]));
    }

    #[test]
    fn what_is_written_is_read(data in "[a-zé \r\n:]{0,40}") {
        let lines = data.replace("\r\n", "\n").replace('\r', "\n");
        let text: String = lines.split('\n').map(|line| format!("data: {line}\n")).collect();
        let read = read([format!("{text}\n").as_bytes()]).unwrap();
        prop_assert_eq!(read, [("message".to_owned(), lines)]);
    }
}
