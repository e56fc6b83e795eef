//! The payer sends: what it hands out was mined, and what it cannot tell it does not call unpaid.

use mpp_core::payer::PayError;
use proptest::prelude::*;

use super::*;
use crate::charge::Mode;

const END: u64 = NOW as u64 + 25;
const OVER: u64 = NOW as u64 + 300;

fn pusher(node: Scripted) -> (Payer, Arc<Scripted>) {
    let node = Arc::new(node);
    (payer_at(node.clone()).mode(Mode::Push), node)
}

async fn push(node: Scripted) -> (Result<String, PayError>, Arc<Scripted>) {
    let (payer, node) = pusher(node);
    let challenge = challenge(&request());
    let paid = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await;
    let hash = paid.map(|payment| {
        assert_eq!(payment.exposed.unwrap().get(), 124_000);
        assert!(payment.source.is_some());
        let Payload::Hash { hash } = payment.payload else { panic!("push mode") };
        hash
    });
    (hash, node)
}

/// What this payer signs for the challenge of [`request`].
async fn ours() -> Signed {
    signed(&challenge(&request())).await
}

#[tokio::test]
async fn the_hash_of_a_mined_payment_is_shown_in_lower_case() {
    let (hash, node) = push(Scripted::default()).await;
    assert_eq!(hash.unwrap(), format!("{:#x}", ours().await.hash()));
    assert_eq!(node.asked().iter().filter(|asked| **asked == "send").count(), 1);
}

#[tokio::test]
async fn the_way_is_what_the_challenge_takes_and_the_payer_was_told() {
    let takes = |modes: &[Mode]| {
        let mut request = request();
        request.details.method_details.supported_modes = Some(modes.to_vec());
        challenge(&request)
    };
    let cases: [(&[Mode], Option<Mode>, Option<&str>); 8] = [
        (&[Mode::Pull, Mode::Push], None, Some("Transaction(..)")),
        (&[Mode::Push, Mode::Pull], None, Some("Transaction(..)")),
        (&[Mode::Push], None, Some("Hash(..)")),
        (&[Mode::Pull, Mode::Push], Some(Mode::Push), Some("Hash(..)")),
        (&[Mode::Pull], Some(Mode::Push), None),
        (&[Mode::Push], Some(Mode::Pull), None),
        (&[], None, None),
        (&[Mode::Other("teleport".into())], None, None),
    ];
    for (modes, told, expected) in cases {
        let node = Arc::new(Scripted::default());
        let mut payer = payer_at(node.clone());
        if let Some(mode) = told.clone() {
            payer = payer.mode(mode);
        }
        let challenge = takes(modes);
        let paid = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await;
        let shown = paid.ok().map(|payment| format!("{:?}", payment.payload));
        assert_eq!(shown.as_deref(), expected, "{modes:?} {told:?}");
        assert_eq!(node.asked().contains(&"send"), expected == Some("Hash(..)"));
    }
}

#[tokio::test(start_paused = true)]
async fn s14_an_answer_that_was_lost_is_looked_for_and_never_called_unpaid_without_proof() {
    let lost = || -> Option<Script<Bytes, Receipt>> {
        Some(Box::new(|_| Err(RpcError::Unanswered(gone()))))
    };
    let receipt = mined(&ours().await.encode());
    let failed = Receipt { success: false, ..receipt.clone() };
    let mute = Receipt { logs: Vec::new(), ..receipt.clone() };
    let found = |receipt: &Receipt| -> Script<B256, Option<Receipt>> {
        let receipt = receipt.clone();
        Box::new(move |_| Ok(Some(receipt.clone())))
    };
    let refusing =
        |code| -> Option<Script<Bytes, Receipt>> { Some(Box::new(move |_| Err(refused(code)))) };
    let none = || -> Script<B256, Option<Receipt>> { Box::new(|_| Ok(None)) };
    type Case = (&'static str, Scripted, Result<(), Funds>);
    let base = Scripted::default;
    let cases: Vec<Case> = vec![
        ("lost", Scripted { send: lost(), receipt: found(&receipt), ..base() }, Ok(())),
        ("silent", Scripted { send: None, receipt: found(&receipt), ..base() }, Ok(())),
        ("code", Scripted { send: refusing(-32603), receipt: found(&receipt), ..base() }, Ok(())),
        ("not taken", Scripted { send: refusing(-32602), ..base() }, Err(Funds::Untouched)),
        (
            "failed",
            Scripted { send: lost(), receipt: found(&failed), ..base() },
            Err(Funds::Committed),
        ),
        ("mute", Scripted { send: lost(), receipt: found(&mute), ..base() }, Err(Funds::Unknown)),
        ("stuck", Scripted { send: lost(), receipt: none(), ..base() }, Err(Funds::Unknown)),
        (
            "dumb",
            Scripted { send: lost(), receipt: Box::new(|_| Err(RpcError::Status(502))), ..base() },
            Err(Funds::Unknown),
        ),
    ];
    for (name, node, expected) in cases {
        let (paid, node) = push(node).await;
        assert_eq!(paid.map(drop).map_err(|error| error.funds), expected, "{name}");
        let sends = node.asked().iter().filter(|asked| **asked == "send").count();
        assert!(sends <= 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_no_block_took_in_its_time_was_not_made() {
    let looks = Mutex::new(0_u64);
    let node = Scripted {
        send: Some(Box::new(|_| Err(RpcError::Unanswered(gone())))),
        block: Box::new(move |()| {
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            Ok(Block { number: 9, timestamp: NOW as u64 + *looks, base_fee: None })
        }),
        ..Scripted::default()
    };
    let (paid, _) = push(node).await;
    assert_eq!(paid.unwrap_err().funds, Funds::Untouched);
}

#[tokio::test]
async fn what_could_not_be_found_again_is_not_sent() {
    for (expires, sends) in
        [(Some(300), true), (Some(1800), true), (Some(1801), false), (None, false)]
    {
        let challenge = keys().seal(Draft {
            expires: expires.map(|left| Timestamp::from_unix(NOW + left, 0)),
            ..challenge(&request()).to_draft()
        });
        let (payer, node) = pusher(Scripted::default());
        let paid = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await;
        assert_eq!(paid.map_err(|e| e.funds).is_ok(), sends, "{expires:?}");
        assert_eq!(node.asked().contains(&"send"), sends, "{expires:?}");
    }
}

#[tokio::test]
async fn who_is_short_of_money_or_of_its_fee_sends_nothing() {
    for (held, sends) in [(99_999_u64, false), (123_999, false), (124_000, true)] {
        let word: Bytes = U256::from(held).to_be_bytes_vec().into();
        let node = Scripted { call: Box::new(move |_| Ok(word.clone())), ..Scripted::default() };
        let (paid, node) = push(node).await;
        assert_eq!(paid.map_err(|error| error.funds).is_ok(), sends, "{held}");
        assert_eq!(node.asked().contains(&"send"), sends, "{held}");
    }
}

fn told(receipt: &Receipt) -> Vec<Told> {
    let told = |log: &Log| Told {
        log: log.clone(),
        transaction: receipt.hash,
        block_number: receipt.block_number,
    };
    receipt.logs.iter().skip(1).map(told).collect()
}

/// A node that has this receipt and its logs, at a time of its chain.
fn having(receipt: Option<Receipt>, time: u64) -> Scripted {
    let logs = receipt.as_ref().map(told).unwrap_or_default();
    Scripted {
        block: at(time),
        logs: Box::new(move |_| Ok(logs.clone())),
        receipt: Box::new(move |_| Ok(receipt.clone())),
        ..Scripted::default()
    }
}

fn word(recalled: Result<Recall<TempoCharge>, PayError>) -> Result<String, Funds> {
    recalled.map_err(|error| error.funds).map(|recalled| match recalled {
        Recall::Paid(payment) => {
            assert!(payment.source.is_some());
            let Payload::Hash { hash } = payment.payload else { panic!("push mode") };
            hash
        }
        other => format!("{other:?}"),
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_crash_is_found_by_its_memo_alone() {
    let challenge = challenge(&request());
    let receipt = mined(&ours().await.encode());
    let hash = format!("{:#x}", receipt.hash);
    let mut other = request();
    other.terms.external_id = Some("order-2".into());
    let others = mined(&signed(&super::challenge(&other)).await.encode());
    let failed = Receipt { success: false, ..receipt.clone() };
    let less = {
        let mut less = receipt.clone();
        for log in &mut less.logs {
            log.data = U256::from(99_999).to_be_bytes_vec().into();
        }
        less
    };
    let dumb = || Scripted { logs: Box::new(|_| Err(refused(-32601))), ..having(None, OVER + 60) };
    let unknown = || Ok("Unknown".to_owned());
    let never = || Ok("Never".to_owned());
    let now = NOW as u64;
    let cases: Vec<(&str, Scripted, Result<String, Funds>)> = vec![
        ("found", having(Some(receipt.clone()), now), Ok(hash.clone())),
        ("found late", having(Some(receipt.clone()), OVER + 9_999), Ok(hash.clone())),
        ("not yet", having(None, now), unknown()),
        ("not yet", having(None, END + 10), unknown()),
        ("ending", having(None, OVER + 29), Err(Funds::Unknown)),
        ("over", having(None, OVER + 30), never()),
        ("long over", having(None, OVER + 1800), never()),
        ("too long over", having(None, OVER + 1801), Err(Funds::Unknown)),
        ("another's", having(Some(others), OVER + 60), never()),
        ("less", having(Some(less), OVER + 60), never()),
        ("failed", having(Some(failed), OVER + 60), Err(Funds::Unknown)),
        ("no logs", dumb(), Err(Funds::Unknown)),
    ];
    for (name, node, expected) in cases {
        let (payer, node) = pusher(node);
        let said = payer.recall(&challenge.read().unwrap()).await;
        assert_eq!(word(said), expected, "{name}");
        assert!(!node.asked().contains(&"send"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn s14_lists_that_were_narrowed_since_make_no_payment_undone() {
    let challenge = challenge(&request());
    for (time, expected) in [(NOW as u64, "Unknown"), (OVER + 30, "Never")] {
        let (payer, _) = pusher(having(None, time));
        let narrow = payer.only_to([]).unwrap();
        assert_eq!(exposes(&narrow, &request()), None);
        let said = narrow.recall(&challenge.read().unwrap()).await;
        assert_eq!(word(said), Ok(expected.to_owned()));
    }
}

#[tokio::test]
async fn the_name_a_payment_was_made_under_does_not_hide_it() {
    let challenge = challenge(&request());
    let payer = payer_at(Arc::default()).named("my-agent");
    let payment = payer.pay(&challenge.read().unwrap(), &allowance(150_000)).await.unwrap();
    let receipt = mined(&read(&payment.payload).encode());
    let (today, _) = pusher(having(Some(receipt.clone()), NOW as u64));
    let said = today.recall(&challenge.read().unwrap()).await;
    assert_eq!(word(said), Ok(format!("{:#x}", receipt.hash)));
}

#[tokio::test(start_paused = true)]
async fn only_the_blocks_of_the_challenges_life_are_searched() {
    // Two blocks a second; the challenge ended an hour ago, half a million blocks after the chain began.
    let (latest, over) = (500_000_u64, NOW as u64 + 300);
    let time = move |number: u64| over + 3600 - (latest - number) / 2;
    let searched = Arc::new(Mutex::new(Vec::new()));
    let heard = searched.clone();
    let node = Scripted {
        block: Box::new(move |()| {
            Ok(Block { number: latest, timestamp: time(latest), base_fee: None })
        }),
        blocks: Box::new(move |number| {
            Ok(Some(Block { number, timestamp: time(number), base_fee: None }))
        }),
        logs: Box::new(move |search: Search| {
            heard.lock().unwrap().push((search.from_block, search.to_block));
            Ok(Vec::new())
        }),
        ..Scripted::default()
    };
    let (payer, node) = pusher(node);
    let challenge = challenge(&request());
    let said = payer.recall(&challenge.read().unwrap()).await;
    assert_eq!(word(said), Err(Funds::Unknown), "too long ago to be sure");
    let pages = searched.lock().unwrap().clone();
    let (first, last) = (pages[0].0, pages.last().unwrap().1);
    assert!(time(first) < over - 1800 && time(first) > over - 1800 - 200, "{pages:?}");
    assert!(time(last) >= over && time(last) < over + 200, "{pages:?}");
    assert!(pages.iter().all(|(from, to)| to - from < 4096), "{pages:?}");
    assert!(node.asked().len() < 60, "{}", node.asked().len());
}

#[tokio::test]
async fn a_payer_in_pull_mode_has_sent_nothing_but_believes_what_it_sees() {
    let challenge = challenge(&request());
    let receipt = mined(&ours().await.encode());
    let hash = format!("{:#x}", receipt.hash);
    let dumb = Scripted { logs: Box::new(|_| Err(refused(-32601))), ..Scripted::default() };
    for (node, expected) in [
        (having(Some(receipt), NOW as u64), Ok(hash)),
        (having(None, NOW as u64), Ok("Never".to_owned())),
        (dumb, Ok("Never".to_owned())),
    ] {
        let said = payer_at(Arc::new(node)).recall(&challenge.read().unwrap()).await;
        assert_eq!(word(said), expected);
    }
}

#[tokio::test]
async fn a_hash_is_paid_failed_or_open_and_never_dead() {
    type Edit = fn(&mut Receipt);
    let challenge = challenge(&request());
    let good = mined(&ours().await.encode());
    let cases: [(&str, Option<Edit>, Option<Became>); 6] = [
        ("mined", Some(|_| {}), Some(Became::Paid)),
        ("failed", Some(|r| r.success = false), Some(Became::Failed)),
        ("mute", Some(|r| r.logs.clear()), Some(Became::Open)),
        ("another's", Some(|r| r.from = Address::ZERO), Some(Became::Open)),
        ("about another", Some(|r| r.hash = B256::ZERO), None),
        ("missing", None, Some(Became::Open)),
    ];
    for (name, edit, expected) in cases {
        let receipt = edit.map(|edit| {
            let mut receipt = good.clone();
            edit(&mut receipt);
            receipt
        });
        let node = having(receipt, OVER + 100);
        let payload = Payload::Hash { hash: format!("{:#x}", good.hash) };
        let said = payer_at(Arc::new(node)).became(&challenge.read().unwrap(), &payload).await;
        assert_eq!(said.ok(), expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However fast the chain was at any time, and however much was mined since.
    #[test]
    fn a_payment_is_found_in_whichever_block_of_its_time_it_was_mined(
        gaps in proptest::collection::vec((1_u64..2_000, 0_u64..20), 1..60),
        seed: prop::sample::Index,
    ) {
        let end = NOW as u64 + 300;
        // Some blocks in a row share each gap to their next; the last of them all is late enough for an answer.
        let total: u64 = gaps.iter().map(|(blocks, gap)| blocks * gap).sum();
        let mut times = vec![end - total.min(3000)];
        for (blocks, gap) in gaps {
            for _ in 0..blocks.min(200) {
                times.push(times[times.len() - 1] + gap);
            }
        }
        times.push(times[times.len() - 1].max(end + 10));
        let timely = |time: &u64| (end - 1800..end).contains(time);
        let candidates: Vec<_> = (1..times.len()).filter(|at| timely(&times[*at])).collect();
        prop_assume!(!candidates.is_empty());
        let mined_in = candidates[seed.index(candidates.len())] as u64;

        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let found = runtime.block_on(async move {
            let receipt = mined(&ours().await.encode());
            let (logs, hash) = (told(&receipt), format!("{:#x}", receipt.hash));
            let (latest, own) = (times.len() as u64 - 1, times.clone());
            let block = move |number: u64| Block {
                number,
                timestamp: own[number as usize],
                base_fee: None,
            };
            let newest = block(latest);
            let (payer, _) = pusher(Scripted {
                block: Box::new(move |()| Ok(newest)),
                blocks: Box::new(move |number| Ok(Some(block(number)))),
                logs: Box::new(move |search: Search| {
                    let within = (search.from_block..=search.to_block).contains(&mined_in);
                    Ok(if within { logs.clone() } else { Vec::new() })
                }),
                receipt: Box::new(move |_| Ok(Some(receipt.clone()))),
                ..Scripted::default()
            });
            let said = payer.recall(&challenge(&request()).read().unwrap()).await;
            word(said) == Ok(hash)
        });
        prop_assert!(found);
    }
}
