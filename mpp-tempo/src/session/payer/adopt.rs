//! Channels that a server remembers and this payer may have forgotten: taken up again as far as a signature or the chain proves.

use mpp_core::{
    Amount,
    challenge::Demand,
    payer::{PayError, Site},
};

use super::{
    super::{ChannelId, Descriptor, Recognised, Snapshot, TempoSession},
    Payer,
    channel::{Channel, Life, OnChain},
    seat::{Seat, Version},
};
use crate::chain::{escrow, reserve::CHANNEL_RESERVE};

impl Payer {
    /// Takes up what a challenge says of the payer's channel, where there is something in it. What cannot be proven is as good as
    /// not said.
    ///
    /// # Errors
    /// It is a channel of this payer's, and the chain does not say whether it is there: to open another could lock a second
    /// deposit beside it.
    pub(super) async fn adopt(
        &self,
        demand: &Demand<'_, TempoSession>,
        seat: &Seat,
    ) -> Result<(), PayError> {
        let details = &demand.request.details.method_details;
        let known = {
            let book = self.shelf.book();
            if book.is_opening(seat) {
                return Ok(());
            }
            book.at(seat).map(|channel| (channel.id, channel.signed, channel.said))
        };
        match (known, &details.session_snapshot, &details.channel_id) {
            (Some((id, signed, said)), Some(snapshot), _) => {
                let news = snapshot.accepted_cumulative > signed || said < Some(snapshot.spent);
                if news && snapshot.channel_id.parse() == Ok(id) {
                    self.reminded(seat, snapshot);
                }
            }
            (None, Some(snapshot), _) => {
                // What is no snapshot of ours is passed over: the challenge is paid as if it had none.
                if let Ok(shown) = self.shown_by(seat, snapshot) {
                    self.adopt_shown(shown, snapshot, None).await?;
                }
            }
            (None, None, Some(id)) if seat.version == Version::V1 => {
                if let Ok(id) = id.parse() {
                    self.adopt_contract(seat, id).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The channel that a site's payee is paid from, as far as it is known.
    pub(super) fn hinted(&self, to: &Site) -> Option<String> {
        let book = self.shelf.book();
        let of_site = |channel: &&Channel| {
            channel.life == Life::Open && channel.site.as_deref() == Some(to.origin.as_str())
        };
        let found = book.channels.values().filter(of_site).max_by_key(|channel| channel.id);
        found.map(|channel| channel.id.to_string())
    }

    /// Takes up the channel of a snapshot that came in a header.
    pub(super) async fn remembered(&self, to: &Site, header: &str) -> Result<(), PayError> {
        let snapshot = Snapshot::from_header(header)
            .map_err(|cause| PayError::untouched(UNUSABLE).because(cause))?;
        let Recognised { id, descriptor } = self.recognised(&snapshot)?;
        let seat = Seat {
            version: Version::V2,
            chain_id: self.node.chain_id(),
            escrow: CHANNEL_RESERVE,
            payer: descriptor.payer,
            payee: descriptor.payee,
            operator: descriptor.operator,
            token: descriptor.token,
            signer: descriptor.authorized_signer,
        };
        if self.recipients.as_ref().is_some_and(|allowed| !allowed.contains(&seat.payee)) {
            return Err(PayError::untouched("the snapshot's payee is nobody that this payer pays"));
        }
        let known = self.shelf.channel(id).is_some_and(|known| known.life != Life::Stranded);
        if known {
            self.reminded(&seat, &snapshot);
            return Ok(());
        }
        let shown = self.shown_by(&seat, &snapshot)?;
        if self.adopt_shown(shown, &snapshot, Some(to)).await? {
            Ok(())
        } else {
            Err(PayError::untouched("the snapshot's channel has ended, or is ending"))
        }
    }

    /// Hears what a snapshot says of a channel that is known: a voucher in it that this payer made, which its store may have lost.
    /// Ids are public, and whoever has one can say anything else of it.
    fn reminded(&self, seat: &Seat, snapshot: &Snapshot) {
        let Ok(recognised) = snapshot.verified(seat.escrow, seat.chain_id) else { return };
        let Ok(Some(proven)) = snapshot.proven(&recognised, &seat.domain()) else { return };
        self.shelf.change(recognised.id, |channel| {
            if proven > channel.signed {
                // It was signed, and forgotten: so was what for.
                (channel.signed, channel.earned) = (proven, proven);
            }
            channel.hear(snapshot.accepted_cumulative.min(proven), snapshot.spent.min(proven));
        });
    }

    /// The channel that a snapshot shows, this payer's by its descriptor, and what a voucher in it proves to have been signed.
    fn shown_by(
        &self,
        seat: &Seat,
        snapshot: &Snapshot,
    ) -> Result<(Channel, Option<Amount>), PayError> {
        let recognised = self.recognised(snapshot)?;
        let Recognised { id, descriptor } = recognised;
        let proven = snapshot
            .proven(&recognised, &seat.domain())
            .map_err(|cause| PayError::untouched(UNUSABLE).because(cause))?;
        let channel = Channel::of(seat, id, descriptor, Life::Open);
        if channel.seat() != *seat || channel.seat().id(&descriptor) != id {
            return Err(PayError::untouched("the snapshot is of a channel with somebody else"));
        }
        Ok((channel, proven))
    }

    /// Takes up a channel that is not known, if the chain has it and it is not ending.
    async fn adopt_shown(
        &self,
        (mut channel, proven): (Channel, Option<Amount>),
        snapshot: &Snapshot,
        to: Option<&Site>,
    ) -> Result<bool, PayError> {
        let id = channel.id;
        channel.site = to.map(|to| to.origin.clone());
        let chain = self.on_chain(&channel).await?;
        if chain.gone || chain.closing {
            return Ok(false);
        }
        taken_up(&mut channel, &chain, proven.map(|proven| (proven, snapshot.spent)));
        self.shelf.book().take_up(channel);
        self.shelf.save_first(id).await?;
        Ok(true)
    }

    /// Takes up a contract's channel by its name: the contract keeps all of it.
    async fn adopt_contract(&self, seat: &Seat, id: ChannelId) -> Result<(), PayError> {
        let node = self.node.node().await.map_err(|cause| {
            PayError::untouched("the node cannot be asked, or is on another chain").because(cause)
        })?;
        let found = escrow::channel(node, seat.escrow, id).await.map_err(|cause| {
            PayError::untouched("the chain does not say whose the named channel is").because(cause)
        })?;
        let ours = (found.payer, found.payee, found.token, found.authorized_signer)
            == (seat.payer, seat.payee, seat.token, seat.signer);
        if !ours || found.finalized || found.close_requested_at != 0 {
            return Ok(());
        }
        let made_of = Descriptor {
            operator: alloy::primitives::Address::ZERO,
            ..seat.made_of(Default::default(), Default::default())
        };
        let mut channel = Channel::of(seat, id, made_of, Life::Open);
        let chain = OnChain {
            deposit: Amount::new(found.deposit),
            settled: Amount::new(found.settled),
            closing: false,
            gone: false,
            over: false,
            at: 0,
        };
        taken_up(&mut channel, &chain, None);
        self.shelf.book().take_up(channel);
        self.shelf.save_first(id).await
    }

    /// The channel that a snapshot is certainly of, if it is this payer's.
    fn recognised(&self, snapshot: &Snapshot) -> Result<Recognised, PayError> {
        let recognised = snapshot
            .verified(CHANNEL_RESERVE, self.node.chain_id())
            .map_err(|cause| PayError::untouched(UNUSABLE).because(cause))?;
        let made_of = &recognised.descriptor;
        let ours = made_of.payer == self.signer.account()
            && made_of.authorized_signer == self.signer.key();
        if ours {
            Ok(recognised)
        } else {
            Err(PayError::untouched("the snapshot is of somebody else's channel"))
        }
    }
}

/// What is believed of a channel that was forgotten: the chain's deposit, and a total only where a voucher of our own proves it.
/// Without one, nothing above what was settled is taken for signed: the server has to show it.
fn taken_up(channel: &mut Channel, chain: &OnChain, proven: Option<(Amount, Amount)>) {
    channel.deposit = chain.deposit;
    channel.shown = true;
    channel.signed = chain.settled;
    channel.charged = chain.settled;
    if let Some((proven, spent)) = proven {
        channel.signed = proven.max(chain.settled);
        channel.accepted = channel.signed;
        channel.charged = spent.min(channel.signed);
        channel.said = Some(channel.charged);
    }
    channel.earned = channel.signed;
}

const UNUSABLE: &str = "the snapshot is nothing that this payer can go on with";
