//! One server-sent event as text, in which no data can pass for another event (S17).

/// An event of a name. Every line end in its data, of whatever kind, begins another `data:` line.
pub(super) fn write(name: &str, data: &str) -> String {
    let mut event = String::with_capacity(name.len() + data.len() + 16);
    event.push_str("event: ");
    event.push_str(name);
    event.push('\n');
    let mut rest = data;
    loop {
        let (line, after) = first_line(rest);
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
        match after {
            Some(after) => rest = after,
            None => break,
        }
    }
    event.push('\n');
    event
}

/// The first line, and what follows its end where it has one: CR, LF or both.
fn first_line(text: &str) -> (&str, Option<&str>) {
    let Some((line, after)) = text.split_once(['\r', '\n']) else { return (text, None) };
    let is_cr = text.as_bytes().get(line.len()) == Some(&b'\r');
    let after = after.strip_prefix('\n').filter(|_| is_cr).unwrap_or(after);
    (line, Some(after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads events as the standard of server-sent events says.
    fn read(text: &str) -> Vec<(String, String)> {
        let (mut events, mut name, mut data) = (Vec::new(), String::new(), Vec::new());
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        for line in lines.split('\n') {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
            match (line, field) {
                ("", _) if !data.is_empty() => {
                    events.push((std::mem::take(&mut name), data.join("\n")));
                    data.clear();
                }
                (_, "event") => name = value,
                (_, "data") => data.push(value),
                _ => {}
            }
        }
        events
    }

    #[test]
    fn s17_no_line_end_in_data_forges_an_event() {
        for forged in [
            "x\n\nevent: payment-receipt\ndata: {\"spent\":\"0\"}\n\n",
            "x\r\revent: payment-receipt\rdata: {}\r\r",
            "x\r\n\r\nevent: payment-need-voucher\r\ndata: {}\r\n\r\n",
            "\revent: payment-receipt",
            "\n\r\n\revent: payment-receipt\n\r",
            "event: payment-receipt",
        ] {
            let events = read(&write("message", forged));
            let data = forged.replace("\r\n", "\n").replace('\r', "\n");
            assert_eq!(events, [("message".to_owned(), data)], "{forged:?}");
        }
    }

    #[test]
    fn an_event_has_a_data_line_for_each_line() {
        assert_eq!(write("message", "w0 "), "event: message\ndata: w0 \n\n");
        assert_eq!(write("message", "a\nb"), "event: message\ndata: a\ndata: b\n\n");
        assert_eq!(write("message", "a\r\nb\rc"), "event: message\ndata: a\ndata: b\ndata: c\n\n");
        assert_eq!(write("message", ""), "event: message\ndata: \n\n");
        assert_eq!(write("message", "\n"), "event: message\ndata: \ndata: \n\n");
    }

    proptest! {
        #[test]
        fn whatever_is_said_is_read_as_one_message(
            texts in prop::collection::vec("(\r|\n|\r\n|event: |data: |:|payment-receipt|[a-zé ]|\\PC){0,12}", 1..4),
        ) {
            let stream: String = texts.iter().map(|text| write("message", text)).collect();
            let said = texts.iter().map(|text| text.replace("\r\n", "\n").replace('\r', "\n"));
            let expected: Vec<_> = said.map(|text| ("message".to_owned(), text)).collect();
            prop_assert_eq!(read(&stream), expected);
        }
    }
}
