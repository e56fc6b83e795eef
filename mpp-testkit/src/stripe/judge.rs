//! One request, from its headers to its answer: faults, idempotency, and the endpoint.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    Fault,
    ask::{Ask, Incoming},
    books::Books,
    clock,
    idempotency::Stored,
    list,
    refused::Refused,
    route,
};

/// What is answered, and how.
pub(super) enum Verdict {
    /// An answer, perhaps after a while.
    Answer { answer: Answer, after: Duration },
    /// A status and a body of no shape.
    Raw { status: u16, body: String },
    /// The connection is cut.
    Nothing,
}

/// An answer in Stripe's shape.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) request: String,
    pub(super) version: String,
    pub(super) key: Option<String>,
    pub(super) account: Option<String>,
    /// The request whose result this is, where it is another's.
    pub(super) replayed: Option<String>,
}

/// Judges a request. Nobody else does meanwhile: the books are locked.
pub(super) fn judge(books: &mut Books, incoming: Incoming) -> Verdict {
    clock::tick(books);
    books.calls.push(incoming.call.clone());
    let id = books.fresh("req_");
    match Ask::read(books, &id, &incoming) {
        Ok(ask) => known(books, &ask),
        Err(refused) => {
            let version = books.default_version.clone();
            let body = refused.body(&id);
            let (status, key) = (refused.status, None);
            let answer =
                Answer { status, body, request: id, version, key, account: None, replayed: None };
            Verdict::Answer { answer, after: Duration::ZERO }
        }
    }
}

fn known(books: &mut Books, ask: &Ask) -> Verdict {
    let fault = if ask.changes() { books.faults.pop_front() } else { None };
    let answer = match &fault {
        Some(Fault::ConnectionLost) => return Verdict::Nothing,
        Some(Fault::Garbage(status, body)) => {
            return Verdict::Raw { status: *status, body: body.clone() };
        }
        Some(Fault::ServerError) => refusal(ask, &Refused::server_error()),
        Some(Fault::RateLimited) => refusal(ask, &Refused::rate_limited()),
        Some(Fault::ServerErrorStored | Fault::AnswerLost | Fault::Slow(_)) | None => {
            once(books, ask, fault.as_ref())
        }
    };
    match fault {
        Some(Fault::AnswerLost) => Verdict::Nothing,
        Some(Fault::Slow(after)) => Verdict::Answer { answer, after },
        _ => Verdict::Answer { answer, after: Duration::ZERO },
    }
}

/// Does what is asked, unless its key says that it was done.
fn once(books: &mut Books, ask: &Ask, fault: Option<&Fault>) -> Answer {
    let keyed = ask.method == "POST";
    match if keyed { books.keyring.find(ask) } else { Ok(None) } {
        Err(refused) => return refusal(ask, &refused),
        Ok(Some(stored)) => {
            let mut answer = reply(ask, stored.status, stored.body);
            answer.replayed = Some(stored.request);
            return answer;
        }
        Ok(None) => {}
    }
    books.asked = Some((ask.id.clone(), ask.key.clone()));
    let done = if matches!(fault, Some(Fault::ServerErrorStored)) {
        Err(Refused::server_error().stored())
    } else {
        route::route(books, ask).and_then(|value| list::expand(books, ask, value))
    };
    books.asked = None;
    let (answer, began) = match done {
        Ok(body) => (reply(ask, 200, body), true),
        Err(refused) => (refusal(ask, &refused), refused.stored),
    };
    if keyed && began {
        let busy = match fault {
            Some(Fault::Slow(after)) => Some(Instant::now() + *after),
            _ => None,
        };
        let (status, body) = (answer.status, answer.body.clone());
        let now = books.now();
        books.keyring.keep(ask, now, Stored { status, body, request: ask.id.clone() }, busy);
    }
    answer
}

fn refusal(ask: &Ask, refused: &Refused) -> Answer {
    reply(ask, refused.status, refused.body(&ask.id))
}

fn reply(ask: &Ask, status: u16, body: Value) -> Answer {
    Answer {
        status,
        body,
        request: ask.id.clone(),
        version: ask.version.text.clone(),
        key: ask.key.clone(),
        account: ask.account.clone(),
        replayed: None,
    }
}
