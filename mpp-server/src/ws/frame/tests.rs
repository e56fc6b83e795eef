//! What is read as a frame, what is written as one, and that nothing forges one.

use proptest::prelude::*;

use super::*;

fn receipt() -> Receipt {
    let json = r#"{"method":"tempo","reference":"0xab","status":"success","timestamp":"2026-01-01T00:00:00Z","intent":"session","spent":"7"}"#;
    serde_json::from_str(json).unwrap()
}

fn need() -> Need {
    let data = json!({ "channelId": "0xab", "requiredCumulative": "8", "type": "forged" });
    Need { event: "payment-need-voucher", data }
}

#[test]
fn what_clients_of_either_form_say_is_read() {
    let authorization = Inbound::Authorization("Payment abc".into());
    for (codec, text, expected) in [
        (
            Codec::Mpp,
            r#"{"mpp":"authorization","authorization":"Payment abc"}"#,
            authorization.clone(),
        ),
        (
            Codec::Mpp,
            r#"{"authorization":"Payment abc","x":[1,{}],"mpp":"authorization"}"#,
            authorization.clone(),
        ),
        (Codec::Mpp, r#"{"mpp":"payment-close-request"}"#, Inbound::CloseRequest),
        (Codec::Mpp, r#"{"mpp":"message","data":"hi"}"#, Inbound::Message),
        (Codec::Type, r#"{"type":"credential","credential":"Payment abc"}"#, authorization),
        (Codec::Type, r#"{"type":"message","data":{"any":[1]}}"#, Inbound::Message),
    ] {
        assert_eq!(Codec::read(None, text.as_bytes()), Ok((codec, expected.clone())), "{text}");
        assert_eq!(Codec::read(Some(codec), text.as_bytes()), Ok((codec, expected)), "{text}");
        let other = if codec == Codec::Mpp { Codec::Type } else { Codec::Mpp };
        assert_eq!(
            Codec::read(Some(other), text.as_bytes()),
            Err(FrameError::Unreadable),
            "{text}"
        );
    }
}

#[test]
fn what_no_client_says_is_unreadable() {
    for text in [
        "",
        "{",
        "null",
        "[]",
        "\"mpp\"",
        "{}",
        "{\"mpp\":1}",
        "{\"mpp\":null}",
        r#"{"mpp":"authorization"}"#,
        r#"{"mpp":"authorization","authorization":5}"#,
        r#"{"mpp":"authorization","authorization":"Payment a""#,
        r#"{"mpp":"payment-receipt","data":{}}"#,
        r#"{"mpp":"payment-close-ready","data":{}}"#,
        r#"{"mpp":"payment-error","status":402,"message":""}"#,
        r#"{"mpp":"Authorization","authorization":""}"#,
        r#"{"type":"receipt","receipt":{}}"#,
        r#"{"type":"challenge"}"#,
        r#"{"type":"credential","authorization":"x"}"#,
        r#"{"mpp":"authorization","mpp":"message","authorization":"x"}"#,
        "\u{feff}{}",
    ] {
        assert_eq!(Codec::read(None, text.as_bytes()), Err(FrameError::Unreadable), "{text}");
    }
    assert_eq!(Codec::read(None, &[0xff, 0xfe]), Err(FrameError::Unreadable));
}

#[test]
fn s13_a_frame_of_more_than_64_kib_is_not_read() {
    let of = |length: usize| {
        let frame = r#"{"mpp":"authorization","authorization":""}"#;
        frame.replace(r#":""}"#, &format!(r#":"{}"}}"#, "a".repeat(length - frame.len())))
    };
    assert_eq!(of(LONGEST_FRAME).len(), LONGEST_FRAME);
    assert!(Codec::read(None, of(LONGEST_FRAME).as_bytes()).is_ok());
    assert_eq!(Codec::read(None, of(LONGEST_FRAME + 1).as_bytes()), Err(FrameError::TooLong));
    let deep = "[".repeat(LONGEST_FRAME);
    assert_eq!(Codec::read(None, deep.as_bytes()), Err(FrameError::Unreadable));
}

#[test]
fn what_a_server_says_has_the_names_of_each_form() {
    let (receipt, need) = (receipt(), need());
    let error = Outbound::Error { status: 402, message: "no", challenge: None };
    for (frame, mpp, typed) in [
        (
            Outbound::Message("a\n\"b"),
            r#"{"data":"a\n\"b","mpp":"message"}"#,
            r#"{"data":"a\n\"b","type":"message"}"#,
        ),
        (
            error,
            r#"{"message":"no","mpp":"payment-error","status":402}"#,
            r#"{"error":"no","type":"error"}"#,
        ),
        (
            Outbound::Need(&need),
            r#"{"data":{"channelId":"0xab","requiredCumulative":"8","type":"forged"},"mpp":"payment-need-voucher"}"#,
            r#"{"channelId":"0xab","requiredCumulative":"8","type":"needVoucher"}"#,
        ),
    ] {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&Codec::Mpp.write(frame)), read(mpp));
        assert_eq!(read(&Codec::Type.write(frame)), read(typed));
    }
    for (frame, mpp) in [
        (Outbound::Receipt(&receipt), "payment-receipt"),
        (Outbound::CloseReady(&receipt), "payment-close-ready"),
    ] {
        let read = |codec: Codec| serde_json::from_str::<Value>(&codec.write(frame)).unwrap();
        let (ours, typed) = (read(Codec::Mpp), read(Codec::Type));
        assert_eq!((&ours["mpp"], &ours["data"]["spent"]), (&mpp.into(), &"7".into()));
        assert_eq!((&typed["type"], &typed["receipt"]["spent"]), (&"receipt".into(), &"7".into()));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Codec::read(None, &bytes);
        let _ = Codec::read(Some(Codec::Mpp), &bytes);
    }

    #[test]
    fn s17_no_text_forges_another_frame(text in "(\\PC|[\"\\\\{}:,\r\n\0]|payment-receipt){0,20}") {
        for codec in [Codec::Mpp, Codec::Type] {
            let frame: Value = serde_json::from_str(&codec.write(Outbound::Message(&text))).unwrap();
            let kind = if codec == Codec::Mpp { "mpp" } else { "type" };
            prop_assert_eq!(&frame[kind], "message");
            prop_assert_eq!(&frame["data"], &text);
            prop_assert_eq!(frame.as_object().map(|members| members.len()), Some(2));
        }
    }

    #[test]
    fn a_credential_is_read_as_it_was_sent(credential in "\\PC{0,60}") {
        let frame = json!({ "mpp": "authorization", "authorization": credential }).to_string();
        let read = Codec::read(None, frame.as_bytes());
        prop_assert_eq!(read, Ok((Codec::Mpp, Inbound::Authorization(credential))));
    }
}
