//! A small world: two servers over one store, three credentials, a rail, a clock, and what must never be seen in it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use mpp_core::{
    Charge, Credential,
    problem::Reason,
    transport::{Call, Resource},
};
use mpp_server::{
    Admission, Gate, NotWrittenOff, Offers, Permit, Recovered, Route, permit::Ending, route::Order,
};
use mpp_testkit::{
    clock::Hands,
    rail::{self, Rail},
};
use tokio::{runtime::Runtime, task::JoinHandle};

use super::stage::Stage;
use crate::booth::SECRET;

const DEADLINE: Duration = Duration::from_secs(3);
const SERVING: Duration = Duration::from_secs(6);
/// Longer than every lease.
const STALL: Duration = Duration::from_secs(15);

pub(super) struct World {
    pub(super) stage: Arc<Stage>,
    pub(super) rail: Arc<Rail>,
    clock: Hands,
    order: Order,
    processes: Vec<Process>,
    born: usize,
    credentials: Vec<Credential>,
    notes: Arc<Mutex<Notes>>,
}

struct Process {
    number: usize,
    runtime: Option<Runtime>,
    gate: Gate,
    route: Route,
    asks: Vec<JoinHandle<()>>,
}

/// What was seen.
#[derive(Default)]
struct Notes {
    running: Vec<Running>,
    /// Credentials for which a whole response was handed over, whether or not that could be written down.
    handed_over: BTreeSet<usize>,
    /// Credentials whose delivery is on the books.
    delivered: BTreeSet<usize>,
    /// Challenges whose payments an operator gave up.
    given_up: BTreeSet<String>,
    /// Challenges that an operator asked to give up, once for each time that nobody knows whether it was done.
    perhaps_given_up: Vec<String>,
    /// The last answer to each credential.
    answers: [Option<(u16, Reason)>; CREDENTIALS.len()],
    wrong: Vec<String>,
    /// The id of the challenge that each credential answers.
    challenges: Vec<String>,
}

/// A handler that runs.
struct Running {
    id: usize,
    process: usize,
    credential: usize,
    /// `None` while its end is being written.
    permit: Option<Permit>,
    /// It may not be the only one any more: it failed, or its server stood still for longer than its lease.
    over: bool,
}

/// Challenge and coupon of each: the second is the first's coupon under another challenge, the third another coupon for the
/// first's challenge.
const CREDENTIALS: [(usize, &str); 3] = [(0, "b1"), (1, "b1"), (0, "b2")];

impl World {
    pub(super) fn new(order: Order, processes: usize) -> Self {
        let mut world = Self {
            stage: Stage::new(),
            rail: Rail::new(),
            clock: Hands::new(),
            order,
            processes: Vec::new(),
            born: 0,
            credentials: Vec::new(),
            notes: Arc::default(),
        };
        (0..processes).for_each(|_| world.start());
        let first = &world.processes[0];
        let ask = || first.gate.judge(&first.route, Call::to(Resource::at("GET /a")));
        let challenges = [0; 2].map(|_| {
            let refused = first.runtime().block_on(ask()).unwrap_err();
            refused.challenges.into_iter().next().unwrap()
        });
        world.credentials =
            CREDENTIALS.iter().map(|(c, code)| rail::answer(&challenges[*c], code)).collect();
        let ids = world.credentials.iter().map(|c| c.challenge.id().as_str().to_owned()).collect();
        world.notes().challenges = ids;
        world
    }

    /// Starts a server over the same store.
    fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let number = self.born;
        self.born += 1;
        let gate = Gate::builder(self.stage.of(number))
            .realm("shop")
            .secret(SECRET)
            .clock(self.clock.clone())
            .settle_within(DEADLINE)
            .serving_lease(SERVING)
            .serve_up_to(10_000)
            .recover_by_hand()
            .build()
            .unwrap();
        let offers = Offers::<Charge>::of("1 coupon".parse().unwrap()).via(&self.rail);
        let mut route: Route = offers.into_vec().unwrap().into();
        route.order = self.order;
        gate.recovers(&route);
        self.processes.push(Process {
            number,
            runtime: Some(runtime),
            gate,
            route,
            asks: Vec::new(),
        });
    }

    /// A copy of a credential arrives at a server.
    pub(super) fn show(&mut self, process: usize, credential: usize) {
        let at = process % self.processes.len();
        let credential = credential % CREDENTIALS.len();
        let process = &mut self.processes[at];
        let (gate, route, number) = (process.gate.clone(), process.route.clone(), process.number);
        let (notes, rail) = (self.notes.clone(), self.rail.clone());
        let mut call = Call::to(Resource::at("GET /a"));
        call.credential = Ok(Some(self.credentials[credential].clone()));
        process.asks.push(process.runtime().spawn(async move {
            let judged = gate.judge(&route, call).await;
            let mut notes = notes.lock().unwrap();
            match judged {
                Ok(Admission::Serve(permit)) => notes.serve(number, credential, permit, &rail),
                Ok(other) => notes.wrong.push(format!("{other:?}")),
                Err(refusal) => {
                    let kind = refusal.rejection.kind;
                    notes.refused(credential, kind.status, !refusal.challenges.is_empty(), &rail);
                    notes.answers[credential] = Some((kind.status, refusal.rejection.reason));
                }
            }
        }));
        self.settle_down();
    }

    /// A client goes away before it was answered.
    pub(super) fn hang_up(&mut self, nth: usize) {
        let asks: Vec<_> = self.processes.iter().flat_map(|p| &p.asks).collect();
        let open: Vec<_> = asks.into_iter().filter(|ask| !ask.is_finished()).collect();
        if !open.is_empty() {
            open[nth % open.len()].abort();
        }
        self.settle_down();
    }

    /// A handler ends.
    pub(super) fn end(&mut self, nth: usize, ending: Option<Ending>) {
        let mut notes = self.notes();
        let ready: Vec<_> =
            (0..notes.running.len()).filter(|i| notes.running[*i].permit.is_some()).collect();
        if ready.is_empty() {
            return;
        }
        let running = &mut notes.running[ready[nth % ready.len()]];
        let (id, credential, number) = (running.id, running.credential, running.process);
        let mut permit = running.permit.take().unwrap();
        running.over |= ending != Some(Ending::Delivered);
        if ending == Some(Ending::Delivered) && permit.receipt().is_some() {
            notes.handed_over.insert(credential);
        }
        drop(notes);
        let (notes, rail) = (self.notes.clone(), self.rail.clone());
        let process = self.processes.iter().find(|p| p.number == number).unwrap();
        process.runtime().spawn(async move {
            let _out = Out(&notes, id);
            let Some(ending) = ending else { return drop(permit) };
            if ending == Ending::Delivered {
                if let Err(refusal) = permit.charge().await {
                    let (status, asks) =
                        (refusal.rejection.kind.status, !refusal.challenges.is_empty());
                    return notes.lock().unwrap().refused(credential, status, asks, &rail);
                }
                let mut notes = notes.lock().unwrap();
                notes.handed_over.insert(credential);
                notes.check_paid("handed over", credential, &rail);
            }
            let ended = permit.finish(ending).await;
            if ending == Ending::Delivered && ended.is_ok() {
                notes.lock().unwrap().delivered.insert(credential);
            }
        });
        self.settle_down();
    }

    /// A server goes through the books.
    pub(super) fn recover(&mut self, process: usize) {
        let at = process % self.processes.len();
        let process = &mut self.processes[at];
        let gate = process.gate.clone();
        let pass = process.runtime().spawn(async move { drop(gate.recover().await) });
        process.asks.push(pass);
        self.settle_down();
    }

    /// An operator gives up a payment. One whose server dies over it does not know whether that was done.
    pub(super) fn write_off(&mut self, process: usize, credential: usize) {
        let at = process % self.processes.len();
        let challenge = self.notes().challenges[credential % CREDENTIALS.len()].clone();
        self.notes().perhaps_given_up.push(challenge.clone());
        let notes = self.notes.clone();
        let process = &mut self.processes[at];
        let gate = process.gate.clone();
        let asked = process.runtime().spawn(async move {
            let done = gate.write_off(&challenge).await;
            if matches!(done, Err(NotWrittenOff::Books(_))) {
                return;
            }
            let mut notes = notes.lock().unwrap();
            let nth = notes.perhaps_given_up.iter().position(|open| *open == challenge);
            notes.perhaps_given_up.swap_remove(nth.unwrap());
            if done.is_ok() {
                notes.given_up.insert(challenge);
            }
        });
        process.asks.push(asked);
        self.settle_down();
    }

    /// A server is killed, and started again. What it had sent to the store was done, or was not.
    pub(super) fn crash(&mut self, process: usize, done: u8) {
        let at = process % self.processes.len();
        let mut dead = self.processes.remove(at);
        drop(dead.runtime.take());
        self.stage.bury(dead.number, done);
        let mut notes = self.notes();
        let (gone, left): (Vec<_>, Vec<_>) = std::mem::take(&mut notes.running)
            .into_iter()
            .partition(|running| running.process == dead.number);
        notes.running = left;
        drop((notes, gone));
        self.start();
        let new = self.processes.pop().unwrap();
        self.processes.insert(at, new);
        self.settle_down();
    }

    /// Time passes for servers that do their work, a second at a time.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.drain();
        for _ in 0..seconds {
            self.tick(Duration::from_secs(1));
            self.drain();
        }
    }

    /// Every server stands still for longer than every lease, with whatever waits.
    pub(super) fn stall(&mut self) {
        self.notes().running.iter_mut().for_each(|running| running.over = true);
        self.tick(STALL);
    }

    fn tick(&mut self, by: Duration) {
        self.clock.advance(by);
        for process in &self.processes {
            process.runtime().block_on(tokio::time::advance(by));
        }
        self.settle_down();
    }

    /// Answers what waits, until nothing does.
    pub(super) fn drain(&mut self) {
        for _ in 0..2_000 {
            if self.stage.waiting() == 0 {
                return;
            }
            self.stage.answer(0);
            self.settle_down();
        }
        panic!("the servers never come to rest");
    }

    /// Does something to an operation that waits.
    pub(super) fn with_waiting(&mut self, nth: usize, act: impl FnOnce(&Stage, usize)) {
        let waiting = self.stage.waiting();
        if waiting > 0 {
            act(&self.stage, nth % waiting);
            self.settle_down();
        }
    }

    /// Lets every server run until it waits for the store, the rail, or the time; then looks at what was seen.
    pub(super) fn settle_down(&mut self) {
        for process in &self.processes {
            process.runtime().block_on(async {
                for _ in 0..12 {
                    tokio::task::yield_now().await;
                }
            });
        }
        self.rail.taken();
        assert_eq!(self.rail.sent_again(), 0, "an order was sent again that the rail had taken");
        let notes = self.notes();
        assert!(notes.wrong.is_empty(), "{:#?}", notes.wrong);
    }

    pub(super) fn running(&self) -> usize {
        self.notes().running.iter().filter(|running| running.permit.is_some()).count()
    }

    /// Everything works again, and each client shows its credential until it knows. Then what was paid is delivered.
    pub(super) fn all_is_well(&mut self) {
        self.rail.calm();
        self.drain();
        while self.running() > 0 {
            self.end(0, Some(Ending::NotDelivered));
            self.drain();
        }
        self.show_until_told();
        let notes = self.notes();
        for (i, credential) in self.credentials.iter().enumerate() {
            let taken = self.rail.took_for(CREDENTIALS[i].1);
            let challenge = credential.challenge.id().as_str();
            if taken.as_deref() == Some(challenge) && !notes.may_be_given_up(challenge) {
                assert!(notes.handed_over.contains(&i), "{i} was paid and never served");
            }
        }
        drop(notes);
        let left = Arc::new(Mutex::new(None));
        let (told, gate) = (left.clone(), self.processes[0].gate.clone());
        let pass = async move { *told.lock().unwrap() = Some(gate.recover().await.unwrap()) };
        drop(self.processes[0].runtime().spawn(pass));
        self.settle_down();
        self.drain();
        assert_eq!(left.lock().unwrap().take(), Some(Recovered::default()), "left on the books");
    }

    fn show_until_told(&mut self) {
        let mut untold: Vec<usize> = (0..CREDENTIALS.len()).collect();
        for _ in 0..12 {
            untold.retain(|credential| !self.is_told(*credential));
            if untold.is_empty() {
                return;
            }
            self.pass(15);
        }
        let answers = self.notes().answers;
        panic!("{untold:?} are never told what became of them: {answers:?}");
    }

    /// Shows a credential, and tells whether that was the last time.
    fn is_told(&mut self, credential: usize) -> bool {
        self.notes().answers[credential] = None;
        self.show(0, credential);
        self.drain();
        if self.running() > 0 {
            self.end(0, Some(Ending::Delivered));
            self.drain();
            let written = self.notes().delivered.contains(&credential);
            assert!(written, "{credential}: a calm end was not written");
            return true;
        }
        let answer = self.notes().answers[credential].expect("every call is answered");
        matches!(answer, (402, _) | (403, Reason::CREDITED_ELSEWHERE))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Permits outlive their runtimes, as nothing in a dead process does.
        self.processes.iter_mut().for_each(|process| drop(process.runtime.take()));
    }
}

impl Process {
    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("a server that lives")
    }
}

impl Notes {
    fn may_be_given_up(&self, challenge: &str) -> bool {
        let mut given_up = self.given_up.iter().chain(&self.perhaps_given_up);
        given_up.any(|known| known == challenge)
    }

    fn serve(&mut self, process: usize, credential: usize, permit: Permit, rail: &Rail) {
        let code = CREDENTIALS[credential].1;
        let same = |other: &usize| CREDENTIALS[*other].1 == code;
        if self.given_up.contains(&self.challenges[credential]) {
            self.wrong.push(format!("{credential} is served, and was written off before"));
        }
        if self.delivered.iter().any(same) {
            self.wrong.push(format!("{credential} is served, and {code} is delivered already"));
        }
        if self.running.iter().any(|other| same(&other.credential) && !other.over) {
            self.wrong.push(format!("two handlers run for {code}"));
        }
        if permit.receipt().is_some() {
            self.check_paid("served with a receipt", credential, rail);
        }
        let id = self.running.iter().map(|running| running.id + 1).max().unwrap_or(0);
        self.running.push(Running { id, process, credential, permit: Some(permit), over: false });
    }

    fn check_paid(&mut self, what: &str, credential: usize, rail: &Rail) {
        if !rail.took(CREDENTIALS[credential].1) {
            self.wrong.push(format!("{credential} is {what}, and nothing was paid"));
        }
    }

    fn refused(&mut self, credential: usize, status: u16, asks: bool, rail: &Rail) {
        if (status == 402) != asks {
            self.wrong.push(format!("{credential} got {status}, with a challenge: {asks}"));
        }
        let paid = rail.took_for(CREDENTIALS[credential].1);
        let paid = paid.is_some_and(|challenge| challenge == self.challenges[credential]);
        let given_up = self.may_be_given_up(&self.challenges[credential]);
        if asks && paid && !given_up && !self.handed_over.contains(&credential) {
            self.wrong.push(format!("{credential} paid, got nothing, and is asked to pay again"));
        }
    }
}

/// A handler is over, however its end went.
struct Out<'a>(&'a Arc<Mutex<Notes>>, usize);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().running.retain(|running| running.id != self.1);
    }
}
