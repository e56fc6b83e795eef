//! What the club says by itself: twice, late, out of order, and of what is over.

use mpp_core::{
    agreement::Recorded,
    problem::Reason,
    renewer::{Notice, Said},
    time::Timestamp,
};
use mpp_server::{
    Heard,
    event::{Event, SubscriptionChange},
};
use mpp_testkit::rail::{Act, Step};

use super::{DAY, House, PRODUCT};

impl House {
    async fn hear(&self, notice: &Notice) -> Heard {
        self.gate.subscriptions().hear(&self.club, notice.clone()).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_rail_collects_by_itself_serves_and_is_not_charged_again() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    let notices = house.club.collect();
    assert_eq!(house.hear(&notices[0]).await, Heard::Charged(Recorded::New));
    assert_eq!(house.hear(&notices[0]).await, Heard::Charged(Recorded::Known));
    let receipt = house.served("alice").await;
    assert_eq!(
        (receipt.reference.as_str(), receipt.extra["subscriptionId"].as_str()),
        ("club0-1", Some("club0"))
    );
    assert_eq!((house.club.charges(), house.club.asked(Step::Settle)), (2, 1));
    // Long over, and still known.
    house.clock.advance(DAY * 90);
    house.served("alice").await;
    assert_eq!(house.hear(&notices[0]).await, Heard::Charged(Recorded::Known));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_comes_late_is_known_by_the_charge_it_speaks_of() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.collect();
    // The request asks the club, which has charged: nothing is charged twice.
    house.club.next(Step::Settle, []);
    assert_eq!(house.served("alice").await.reference, "club0-1");
    let late = house.club.notice("club0", 1).unwrap();
    assert_eq!(house.hear(&late).await, Heard::Charged(Recorded::Known));
    assert_eq!(
        house.hear(&house.club.notice("club0", 0).unwrap()).await,
        Heard::Charged(Recorded::Known)
    );
    assert_eq!(house.club.charges(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_charge_that_its_rail_could_not_make_ends_what_is_not_paid_and_nothing_else() {
    let house = House::new();
    house.subscribe("alice").await;
    let declined = |days: u32| {
        let start = house.club.notice("club0", 0).map(|notice| notice.said);
        let Some(Said::Charged { start, .. }) = start else { panic!() };
        let start = start.plus(DAY * days);
        Notice::new("declined", "the club", "club0", Said::Declined { start })
    };
    // Of the period that is paid, and of no period: nothing.
    assert_eq!(house.hear(&declined(0)).await, Heard::Declined);
    assert_eq!(house.hear(&declined(1)).await, Heard::Declined);
    house.clock.advance(DAY * 30);
    house.served("alice").await;
    // Late, and paid meanwhile.
    assert_eq!(house.hear(&declined(30)).await, Heard::Declined);
    house.served("alice").await;
    house.clock.advance(DAY * 30);
    assert_eq!(house.hear(&declined(60)).await, Heard::Declined);
    let over = (402, Reason::RENEWAL_DECLINED, 1);
    assert_eq!(house.refused("alice", None).await, over);
    crate::shop::everything_runs().await;
    assert_eq!(
        house.club.told(),
        1,
        "the club would try again, and take it when its period is over"
    );
    assert_eq!(house.club.charges(), 2);
}

#[tokio::test(start_paused = true)]
async fn charges_that_grant_nothing_are_told_so_each_time() {
    let house = House::new();
    let mut events = house.gate.events();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.collect();
    let missed = house.club.notice("club0", 1).unwrap();
    house.clock.advance(DAY * 30);
    house.served("alice").await;
    // Of a period that is over; of one that is paid by another charge; of no period at all.
    let Said::Charged { start, settlement } = missed.said.clone() else { panic!() };
    let second = start.plus(DAY * 30);
    let other = |start: &Timestamp, reference: &str| {
        let settlement = mpp_core::fate::Settlement::new(reference);
        Notice::new("e", "the club", "club0", Said::Charged { start: start.clone(), settlement })
    };
    for (notice, comes_to) in [
        (missed, Recorded::Stale),
        (other(&second, "x"), Recorded::Twice),
        (other(&start.plus(DAY), "y"), Recorded::Stale),
    ] {
        assert_eq!(house.hear(&notice).await, Heard::Charged(comes_to));
        assert_eq!(house.hear(&notice).await, Heard::Charged(comes_to));
    }
    let mut owed = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Subscription { what: SubscriptionChange::ToGiveBack { reference }, .. } =
            event
        {
            owed.push(reference);
        }
    }
    assert_eq!(owed, [&*settlement.reference, &settlement.reference, "x", "x", "y", "y"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_called_off_and_charged_all_the_same_is_to_be_given_back() {
    let house = House::new();
    house.subscribe("alice").await;
    house.club.deaf(true);
    house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap();
    house.clock.advance(DAY * 30);
    let notices = house.club.collect();
    assert_eq!(house.hear(&notices[0]).await, Heard::Charged(Recorded::Stale));
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    // Replaced since by another subscription: it is nobody's charge still.
    house.club.calm();
    house.gate.recover().await.unwrap();
    house.subscribe("alice").await;
    assert_eq!(house.hear(&notices[0]).await, Heard::Charged(Recorded::Stale));
    assert_eq!(
        house.hear(&house.club.notice("club0", 0).unwrap()).await,
        Heard::Charged(Recorded::Known)
    );
    assert_eq!(house.served("alice").await.reference, "club1-0");
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_rail_says_takes_nothing_away_that_was_paid() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 5);
    let end = house.club.expel("club0").unwrap();
    assert_eq!(house.hear(&end).await, Heard::Ended);
    house.served("alice").await;
    assert_eq!(house.hear(&end).await, Heard::Ended);
    house.clock.advance(DAY * 25);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    assert_eq!(house.club.charges(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_cancels_is_not_charged_until_a_later_end_that_the_rail_said() {
    let house = House::new();
    let paid_until = house.subscribe("alice").await.timestamp.plus(DAY * 30);
    let in_a_year = paid_until.plus(DAY * 335);
    let end = Notice::new("end", "the club", "club0", Said::Ended(in_a_year));
    assert_eq!(house.hear(&end).await, Heard::Ended);
    let cancel = async || house.gate.subscriptions().cancel(PRODUCT, "alice").await.unwrap();
    let state = cancel().await.unwrap();
    assert!(state.cancelled.is_some() && state.cancelled == state.paid_until);
    assert_eq!((state.rail_untold, house.club.told()), (false, 1));
    // Said again by either, it stays as it is.
    assert_eq!(house.hear(&end).await, Heard::Ended);
    assert_eq!((cancel().await, house.club.told()), (Some(state), 1));
    house.clock.advance(DAY * 30);
    assert_eq!(house.refused("alice", None).await, (402, Reason::SUBSCRIPTION_OVER, 1));
    assert_eq!(house.club.charges(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_of_a_charge_answers_an_order_whose_answer_was_lost() {
    let house = House::new();
    house.subscribe("alice").await;
    house.clock.advance(DAY * 30);
    house.club.next(Step::Settle, [Act::TakesAndIsMute]);
    house.refused("alice", None).await;
    let notice = house.club.notice("club0", 1).unwrap();
    assert_eq!(house.hear(&notice).await, Heard::Charged(Recorded::New));
    assert_eq!(house.served("alice").await.reference, "club0-1");
    house.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(house.gate.recover().await.unwrap().renewals, 1);
    assert_eq!((house.club.charges(), house.club.sent_again()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_strangers_changes_nothing() {
    let house = House::new();
    house.subscribe("alice").await;
    let stranger = Notice::new("e", "the club", "club9", Said::Ended(Timestamp::from_unix(0, 0)));
    assert_eq!(house.hear(&stranger).await, Heard::NotOnBooks);
    let elsewhere =
        Notice::new("e", "another club", "club0", Said::Ended(Timestamp::from_unix(0, 0)));
    let refused = house.gate.subscriptions().hear(&house.club, elsewhere).await.unwrap_err();
    assert_eq!((refused.kind.status, refused.kind.fresh), (400, false));
    house.clock.advance(DAY * 30);
    assert_eq!(house.served("alice").await.reference, "club0-1");
}
