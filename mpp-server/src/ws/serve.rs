//! One metered socket from its first frame to its close.

use std::{collections::VecDeque, fmt, future::pending, pin::Pin};

use bytes::Bytes;
use mpp_core::{
    Credential, Receipt,
    transport::{Call, Refusal, Resource, Wants, credential_from_field},
};
use tokio::time::{Instant, sleep_until};

use super::{
    Places, Socket,
    frame::{Inbound, Outbound},
    talk::{End, Talk, not_a_session, unreadable},
    work::{Guest, Work},
};
use crate::{
    gate::Gate,
    permit::{Acknowledged, Admission, Ending, Permit},
    route::Route,
    stream::{Code, Flow, Patience, Said},
};

/// Where a socket came in: the route by which its credentials are judged, and who came. Made by
/// [`Ticket::redeem`](crate::tower::Ticket::redeem).
#[derive(Clone, Debug)]
pub struct Doorway {
    pub(crate) gate: Gate,
    pub(crate) route: Route,
    pub(crate) at: Resource,
    pub(crate) host: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) places: Places,
}

/// Payment frames that wait to be judged; more are refused (S13).
const QUEUE: usize = 32;

type Judging = Pin<Box<dyn Future<Output = Result<Admission, Refusal>> + Send>>;

impl Doorway {
    /// Serves a socket until it is closed. Nothing of the stream's code is run before a credential was taken.
    pub async fn serve<S: Socket>(self, socket: S, patience: Patience, code: Code) {
        let mut talk = Talk::over(socket, patience.client);
        // The conversation is over with this, and what its stream had reserved is on its way back, before the goodbye.
        let end = Conversation::new(self, patience, code).hold(&mut talk).await;
        talk.end(end).await;
    }

    /// A credential frame as the request it stands for: a POST to the same place, without a body. The first asks for the stream,
    /// which charges for itself; the others ask that their credential is taken.
    fn call(&self, credential: Credential, first: bool) -> Call {
        let mut call = Call::to(self.at.clone());
        call.credential = Ok(Some(credential));
        call.wants = if first { Wants::Content { units: 0 } } else { Wants::Nothing };
        call.client.clone_from(&self.client);
        call.host.clone_from(&self.host);
        call
    }
}

struct Conversation {
    door: Doorway,
    patience: Patience,
    code: Option<Code>,
    guest: Option<Guest>,
    flow: Option<Flow>,
    queue: VecDeque<Work>,
    judging: Option<Judging>,
    /// The client was told that it can close its account.
    is_ready: bool,
    /// When something of the protocol was last said or heard.
    heard: Instant,
}

enum Happening {
    Judged(Result<Admission, Refusal>),
    Heard(Option<Bytes>),
    Said(Option<Said>),
    TakenOver,
    Idle,
}

impl Conversation {
    fn new(door: Doorway, patience: Patience, code: Code) -> Self {
        Self {
            door,
            patience,
            code: Some(code),
            guest: None,
            flow: None,
            queue: VecDeque::new(),
            judging: None,
            is_ready: false,
            heard: Instant::now(),
        }
    }

    async fn hold<S: Socket>(mut self, talk: &mut Talk<S>) -> End {
        loop {
            let turned = match self.work(talk).await {
                Ok(()) => match self.next(talk).await {
                    Happening::Judged(verdict) => self.judged(talk, verdict).await,
                    Happening::Heard(Some(frame)) => self.heard(talk, &frame),
                    Happening::Heard(None) => Err(End::Gone),
                    Happening::Said(said) => self.said(talk, said).await,
                    Happening::TakenOver => {
                        Err(End::refused(409, "another socket took this account over"))
                    }
                    Happening::Idle => Err(End::Closed("idle")),
                },
                over => over,
            };
            if let Err(end) = turned {
                return end;
            }
        }
    }

    async fn next<S: Socket>(&mut self, talk: &mut Talk<S>) -> Happening {
        let idle = self.heard + self.patience.client;
        // A running stream and a judgement have deadlines of their own.
        let waits = self.flow.is_none() && self.judging.is_none();
        // In this order: a stream that always has something to say does not drown its client's voice.
        tokio::select! {
            biased;
            verdict = judged(&mut self.judging) => {
                self.judging = None;
                Happening::Judged(verdict)
            }
            () = taken_over(self.guest.as_ref()) => Happening::TakenOver,
            frame = talk.hear() => Happening::Heard(frame),
            said = said(&mut self.flow) => Happening::Said(said),
            () = sleep_until(idle), if waits => Happening::Idle,
        }
    }

    /// Begins the next thing that waits, one at a time and in order. What ends a stream waits until it has ended: what it holds
    /// is booked before the account is closed.
    async fn work<S: Socket>(&mut self, talk: &mut Talk<S>) -> Result<(), End> {
        while self.judging.is_none() {
            let Some(work) = self.queue.front() else { return Ok(()) };
            if work.ends_streams() {
                self.code = None;
                if let Some(flow) = &mut self.flow {
                    flow.stop();
                    return Ok(());
                }
            }
            match self.queue.pop_front() {
                Some(Work::Judge(credential)) => {
                    let (door, first) = (self.door.clone(), self.guest.is_none());
                    let call = door.call(*credential, first);
                    self.judging =
                        Some(Box::pin(async move { door.gate.judge(&door.route, call).await }));
                }
                Some(Work::GetReady) => self.get_ready(talk).await?,
                None => {}
            }
        }
        Ok(())
    }

    /// Tells a client that never had its stream's end how its account stands.
    async fn get_ready<S: Socket>(&mut self, talk: &mut Talk<S>) -> Result<(), End> {
        let Some(guest) = self.guest.as_ref().filter(|_| !self.is_ready) else { return Ok(()) };
        let receipt = guest.session.receipt().await.map_err(|e| End::unavailable(&e))?;
        self.ready(talk, receipt).await
    }

    async fn ready<S: Socket>(&mut self, talk: &mut Talk<S>, receipt: Receipt) -> Result<(), End> {
        let receipt = match &self.guest {
            Some(guest) => guest.renamed(receipt),
            None => receipt,
        };
        self.is_ready = true;
        self.heard = Instant::now();
        Ok(talk.say(Outbound::CloseReady(&receipt)).await?)
    }

    fn heard<S: Socket>(&mut self, talk: &mut Talk<S>, frame: &[u8]) -> Result<(), End> {
        let work = match talk.read(frame)? {
            Inbound::Message => return Ok(()),
            Inbound::CloseRequest => Work::GetReady,
            Inbound::Authorization(text) => {
                let credential = credential_from_field(&text).ok().flatten();
                Work::Judge(Box::new(credential.ok_or_else(unreadable)?))
            }
        };
        self.heard = Instant::now();
        if self.queue.len() >= QUEUE {
            return Err(End::refused(429, "too many queued payment messages"));
        }
        self.queue.push_back(work);
        Ok(())
    }

    async fn judged<S: Socket>(
        &mut self,
        talk: &mut Talk<S>,
        verdict: Result<Admission, Refusal>,
    ) -> Result<(), End> {
        self.heard = Instant::now();
        match verdict? {
            Admission::Serve(permit) => self.admitted(talk, permit).await,
            Admission::Acknowledge(Acknowledged { receipt, closed, .. }) => {
                if let Some(receipt) = &receipt {
                    self.took(receipt);
                    talk.say(Outbound::Receipt(receipt)).await?;
                }
                if closed { Err(End::Closed("payment session closed")) } else { Ok(()) }
            }
            Admission::Replay { .. } => Err(Refusal::from(not_a_session()).into()),
        }
    }

    /// The first credential that serves: from here on the socket is this account's, and its stream begins.
    async fn admitted<S: Socket>(&mut self, talk: &mut Talk<S>, permit: Permit) -> Result<(), End> {
        let Some(session) = permit.session().cloned() else {
            return Err(Refusal::from(not_a_session()).into());
        };
        let receipt = permit.receipt().cloned();
        let place = self.door.places.take(session.account());
        let flow = self.code.take().map(|code| code.begin(&session, self.patience));
        self.guest = Some(Guest::new(session, permit, place));
        if let Some(receipt) = &receipt {
            self.took(receipt);
            talk.say(Outbound::Receipt(receipt)).await?;
        }
        self.flow = flow;
        Ok(())
    }

    fn took(&mut self, receipt: &Receipt) {
        if let Some(guest) = &mut self.guest {
            guest.took(receipt);
        }
    }

    async fn said<S: Socket>(&mut self, talk: &mut Talk<S>, said: Option<Said>) -> Result<(), End> {
        match said {
            Some(Said::Text(text)) => talk.say(Outbound::Message(&text)).await?,
            Some(Said::Need(need)) => talk.say(Outbound::Need(&need)).await?,
            Some(Said::Receipt(receipt)) => self.ready(talk, receipt).await?,
            None => {
                self.flow = None;
                self.heard = Instant::now();
                let permit = self.guest.as_mut().and_then(|guest| guest.permit.take());
                if let Some(permit) = permit {
                    permit.finish_soon(Ending::Delivered);
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversation").field("door", &self.door).finish_non_exhaustive()
    }
}

async fn judged(judging: &mut Option<Judging>) -> Result<Admission, Refusal> {
    match judging {
        Some(judging) => judging.await,
        None => pending().await,
    }
}

async fn taken_over(guest: Option<&Guest>) {
    match guest {
        Some(guest) => guest.place.taken().await,
        None => pending().await,
    }
}

async fn said(flow: &mut Option<Flow>) -> Option<Said> {
    match flow {
        Some(flow) => std::future::poll_fn(|cx| flow.poll_next(cx)).await,
        None => pending().await,
    }
}
