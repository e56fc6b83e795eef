//! Forged snapshots are told from true ones without asking anybody.

use alloy::primitives::hex;

use super::*;
use crate::{
    Key,
    chain::reserve::CHANNEL_RESERVE,
    session::{DescriptorText, HighestVoucher, sample},
};

fn key() -> Key {
    Key::new([7; 32]).unwrap()
}

/// A channel whose vouchers [`key`] signs, with one for 300.
fn snapshot() -> Snapshot {
    let descriptor = Descriptor { authorized_signer: key().address(), ..sample::descriptor() };
    let id = descriptor.id(CHANNEL_RESERVE, 42431);
    let amount = Amount::new(300);
    let made = key().sign(Domain::v2(42431).digest(id, amount)).to_bytes();
    Snapshot {
        accepted_cumulative: amount,
        chain_id: 42431,
        channel_id: id.to_string(),
        close_requested_at: None,
        deposit: Amount::new(1000),
        descriptor: descriptor.into(),
        escrow: format!("{CHANNEL_RESERVE}"),
        highest_voucher: Some(HighestVoucher {
            channel_id: id.to_string().to_uppercase().replace("0X", "0x"),
            cumulative_amount: amount,
            signature: hex::encode_prefixed(made),
        }),
        required_cumulative: Amount::new(400),
        settled: Amount::ZERO,
        spent: amount,
        units: Some(3),
    }
}

fn proven(snapshot: &Snapshot) -> Result<Option<Amount>, Untrue> {
    let channel = snapshot.verified(CHANNEL_RESERVE, 42431)?;
    snapshot.proven(&channel, &Domain::v2(42431))
}

#[test]
fn a_true_snapshot_names_its_channel_and_proves_its_voucher() {
    let snapshot = Snapshot::from_header(&snapshot().to_header()).unwrap();
    let channel = snapshot.verified(CHANNEL_RESERVE, 42431).unwrap();
    assert_eq!(channel.id.to_string(), snapshot.channel_id);
    assert_eq!(DescriptorText::from(channel.descriptor), snapshot.descriptor);
    assert_eq!(proven(&snapshot), Ok(Some(Amount::new(300))));
    let without = Snapshot { highest_voucher: None, ..snapshot };
    assert_eq!(proven(&without), Ok(None));
}

#[test]
fn a_forged_snapshot_is_refused_for_what_is_forged() {
    type Edit = fn(&mut Snapshot);
    let edits: [(Untrue, Edit); 10] = [
        (Untrue::Escrow, |s| s.escrow = "0x4d50500000000000000000000000000000000001".into()),
        (Untrue::Escrow, |s| s.escrow = String::new()),
        (Untrue::Chain, |s| s.chain_id = 4217),
        (Untrue::Channel, |s| s.channel_id = format!("0x{}", "ab".repeat(32))),
        (Untrue::Channel, |s| s.channel_id = String::new()),
        (Untrue::Channel, |s| s.descriptor.payee = s.descriptor.payer.clone()),
        (Untrue::Descriptor(NotDescriptor("token")), |s| s.descriptor.token = "0x".into()),
        (Untrue::Voucher, |s| {
            s.highest_voucher.as_mut().unwrap().cumulative_amount = Amount::new(301)
        }),
        (Untrue::Voucher, |s| s.highest_voucher.as_mut().unwrap().channel_id = "0x".into()),
        (Untrue::Voucher, |s| s.highest_voucher.as_mut().unwrap().signature = "0x1".into()),
    ];
    for (untrue, edit) in edits {
        let mut forged = snapshot();
        edit(&mut forged);
        assert_eq!(proven(&forged), Err(untrue));
    }
}
