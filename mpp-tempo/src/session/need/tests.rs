//! What deployed servers say is read, and ours is written alike.

use serde_json::json;

use super::*;

#[test]
fn what_a_deployed_server_asks_for_is_read_and_written_alike() {
    let wire =
        r#"{"acceptedCumulative":"1","channelId":"0xab","deposit":"9","requiredCumulative":"2"}"#;
    let need: NeedVoucher = serde_json::from_str(wire).unwrap();
    assert_eq!((need.accepted_cumulative.get(), need.required_cumulative.get()), (1, 2));
    assert_eq!(serde_json::to_string(&need).unwrap(), wire);
}

#[test]
fn amounts_that_are_none_are_refused() {
    for amount in [json!(1), json!("+1"), json!("0x1"), json!(""), json!(null)] {
        let wire = json!({
            "acceptedCumulative": "1", "channelId": "0xab", "deposit": "9", "requiredCumulative": amount,
        });
        assert!(serde_json::from_value::<NeedVoucher>(wire).is_err(), "{amount}");
    }
}
