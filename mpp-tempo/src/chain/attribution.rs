//! The attribution memo: 32 bytes on a transfer that tie it to one challenge of one server.
//!
//! No draft describes it; every deployed server demands it when the challenge fixes no memo of its own.
//! Layout: tag (4), version (1), server fingerprint (10), client fingerprint (10), challenge nonce (7).

use alloy::primitives::{B256, keccak256};

/// What a memo must say to belong to one challenge: hashes of the server's name and of the challenge id.
///
/// Seven bytes of challenge id are a link, not a lock: replay is stopped by marking the transaction, never by this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Attribution {
    server: [u8; SERVER],
    nonce: [u8; NONCE],
}

impl Attribution {
    /// Derives the two hashes; for a charge `server` is the challenge's realm.
    pub fn new(server: &str, challenge_id: &str) -> Self {
        Self { server: digest(server), nonce: digest(challenge_id) }
    }

    /// The memo to pay with. A client without a name, or with an empty one, stays anonymous.
    pub fn memo(&self, client: Option<&str>) -> B256 {
        let mut memo = [0; 32];
        let client = client.filter(|name| !name.is_empty()).map_or([0; CLIENT], digest);
        let parts =
            TAG.iter().chain(&[VERSION]).chain(&self.server).chain(&client).chain(&self.nonce);
        for (slot, byte) in memo.iter_mut().zip(parts) {
            *slot = *byte;
        }
        B256::new(memo)
    }

    /// Reads the two hashes out of a memo; `None` where it is no attribution memo of the known version.
    pub fn of_memo(memo: &B256) -> Option<Self> {
        let server = memo.get(SERVER_AT)?.try_into().ok()?;
        let nonce = memo.get(NONCE_AT)?.try_into().ok()?;
        is_attribution(memo).then_some(Self { server, nonce })
    }

    /// Whether a memo is this challenge's. Who the client claims to be is not looked at.
    pub fn matches(&self, memo: &B256) -> bool {
        let mut anonymous = *memo;
        if let Some(client) = anonymous.get_mut(CLIENT_AT) {
            client.fill(0);
        }
        anonymous == self.memo(None)
    }
}

/// Whether a memo is an attribution memo of the known version, whoever's it is.
pub fn is_attribution(memo: &B256) -> bool {
    memo.starts_with(&TAG) && memo.get(TAG.len()) == Some(&VERSION)
}

/// The first bytes of keccak256("mpp").
const TAG: [u8; 4] = [0xef, 0x1e, 0xd7, 0x12];
const VERSION: u8 = 1;
const SERVER: usize = 10;
const CLIENT: usize = 10;
const NONCE: usize = 7;
const SERVER_AT: std::ops::Range<usize> = 5..15;
const CLIENT_AT: std::ops::Range<usize> = 15..25;
const NONCE_AT: std::ops::Range<usize> = 25..32;

fn digest<const N: usize>(text: &str) -> [u8; N] {
    let hash = keccak256(text);
    std::array::from_fn(|index| hash.get(index).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::b256;

    use super::*;

    #[test]
    fn memos_are_what_deployed_clients_write() {
        let ours = Attribution::new("api.example.com", "challenge-123");
        let anonymous = b256!("ef1ed712011ece072f76bd8b82350e00000000000000000000eb18f2d4402269");
        let named = b256!("ef1ed712011ece072f76bd8b82350e3a180fb9d0177aa2f371eb18f2d4402269");
        assert_eq!(ours.memo(None), anonymous);
        assert_eq!(ours.memo(Some("")), anonymous);
        assert_eq!(ours.memo(Some("my-app")), named);
        let other = Attribution::new("api.example.com", "test-challenge-1");
        let expected = b256!("ef1ed712011ece072f76bd8b82350e3a180fb9d0177aa2f371329caf68a3973d");
        assert_eq!(other.memo(Some("my-app")), expected);
        let idn =
            Attribution::new("xn--caf-dma.example", "nx9SocbokY6YJTnkjOEldDiCFoHjoXHlHHxoq6-za4M");
        let expected = b256!("ef1ed71201804fa9c4cae4886cf2dfe453aee8edcc60ee4080d2b4b662c61de8");
        assert_eq!(idn.memo(Some("\u{fc}n\u{ef}code")), expected);
    }

    #[test]
    fn a_memo_belongs_to_one_challenge_of_one_server_and_to_any_client() {
        let ours = Attribution::new("api.example.com", "challenge-123");
        for client in [None, Some("my-app"), Some("wallet/1.2")] {
            assert!(ours.matches(&ours.memo(client)));
            assert_eq!(Attribution::of_memo(&ours.memo(client)), Some(ours));
        }
        assert!(!ours.matches(&Attribution::new("api.example.com", "challenge-124").memo(None)));
        assert!(!ours.matches(&Attribution::new("api.example.org", "challenge-123").memo(None)));
    }

    #[test]
    fn changing_any_byte_but_the_clients_breaks_a_memo() {
        let ours = Attribution::new("api.example.com", "challenge-123");
        for index in 0..32 {
            let mut memo = ours.memo(Some("my-app"));
            memo[index] ^= 1;
            assert_eq!(ours.matches(&memo), CLIENT_AT.contains(&index), "byte {index}");
            assert_eq!(is_attribution(&memo), index > 4, "byte {index}");
        }
    }
}
