//! A bar where one drinks on a tab: a server of the made-up metered method, which streams.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use http::{Response, StatusCode};
use mpp_core::{
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal, read_credential},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{
    server::{Seen, read},
    tab::{Note, Tab, bill, tab},
};

/// What a beer costs, in cents.
pub(crate) const BEER: u128 = 10;

/// How often a bar teases: more than any guest puts up with.
pub(crate) const TEASES: usize = 40;

/// How the bar behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Fair,
    /// Refuses every voucher that comes for a stream.
    Refuses,
    /// Asks for what it has, and pours nothing.
    Begs,
    /// Asks for what it has, and hangs up.
    Gives,
    /// Asks for what it has, and pours from an empty tap in between.
    Teases,
    /// Ends with words on another's tab, and with a sum that does not add up.
    Slanders,
    /// Books what is deposited, and says so only once its mood is better.
    Slow,
    /// Sends those who manage their tab to another place.
    Redirects,
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) mood: Mood,
    pub(crate) elsewhere: String,
    pub(crate) deposit: u128,
    pub(crate) credit: u128,
    pub(crate) spent: u128,
    pub(crate) log: Vec<Seen>,
    pub(crate) notes: Vec<Note>,
}

#[derive(Clone)]
pub(crate) struct Bar {
    pub(crate) at: SocketAddr,
    books: Arc<Mutex<Books>>,
}

impl Bar {
    pub(crate) async fn open(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let books = Books { mood, ..Books::default() };
        let bar = Self { at: listener.local_addr().unwrap(), books: Arc::new(Mutex::new(books)) };
        let serving = bar.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bar = serving.clone();
                tokio::spawn(async move {
                    let _ = bar.serve(stream).await;
                });
            }
        });
        bar
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    pub(crate) fn standing(&self) -> (u128, u128) {
        let books = self.books();
        (books.credit, books.spent)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(seen) = read(&mut stream).await? else { return Ok(()) };
        self.books().log.push(seen.clone());
        match self.judge(&seen) {
            Ok(()) if seen.line.starts_with("GET /sse") => self.pour(stream, &seen).await,
            Ok(()) => {
                while seen.line.starts_with("POST") && self.books().mood == Mood::Slow {
                    sleep(Duration::from_millis(10)).await;
                }
                let bare = seen.line.starts_with("POST") && !seen.line.contains('?');
                let mut served = Response::new(b"beer".to_vec());
                if bare {
                    *served.status_mut() = StatusCode::NO_CONTENT;
                    *served.body_mut() = Vec::new();
                }
                Http::put_receipt_in(served.headers_mut(), &bill(self.books().spent));
                write(&mut stream, &served).await
            }
            Err(refused) => write(&mut stream, &refused).await,
        }
    }

    /// Takes the note, and draws on the tab where something is wanted.
    pub(crate) fn judge(&self, seen: &Seen) -> Result<(), Response<Vec<u8>>> {
        let mut books = self.books();
        let Ok(Some(credential)) = read_credential(&seen.headers, None) else {
            return Err(refuse(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL));
        };
        let note: Note = credential.payload::<Tab>().unwrap();
        let posted = seen.line.starts_with("POST");
        books.notes.push(note.clone());
        if posted && books.mood == Mood::Redirects {
            let mut moved = Response::new(Vec::new());
            *moved.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            moved.headers_mut().insert("location", books.elsewhere.parse().unwrap());
            return Err(moved);
        }
        if posted && books.mood == Mood::Refuses {
            return Err(refuse(ProblemType::INVALID_SIGNATURE, Reason::BAD_PROOF));
        }
        match note.action.as_str() {
            "open" => (books.deposit, books.credit) = (100, note.total),
            "topUp" => books.deposit += note.total,
            "close" => {}
            _ if books.deposit == 0 => {
                return Err(refuse(ProblemType::CHANNEL_NOT_FOUND, Reason::NO_ACCOUNT));
            }
            _ if note.total > books.deposit => {
                return Err(refuse(ProblemType::AMOUNT_EXCEEDS_DEPOSIT, Reason::OVER_DEPOSIT));
            }
            _ if note.total < books.credit => {
                return Err(refuse(ProblemType::VERIFICATION_FAILED, Reason::LOWER));
            }
            _ => books.credit = note.total,
        }
        if posted || seen.line.starts_with("GET /sse") {
            return Ok(());
        }
        if books.credit - books.spent < BEER {
            return Err(refuse(ProblemType::INSUFFICIENT_BALANCE, Reason::SHORT_BALANCE));
        }
        books.spent += BEER;
        Ok(())
    }

    /// Pours as many as were ordered, and asks whenever the tab is short.
    async fn pour(&self, mut stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
        let ordered: usize = seen.line.split('=').next_back().unwrap().parse().unwrap();
        let mut head = Response::new(Vec::<u8>::new());
        Http::put_receipt_in(head.headers_mut(), &bill(self.books().spent));
        let receipt = head.headers().get("payment-receipt").unwrap().to_str().unwrap().to_owned();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\
             payment-receipt: {receipt}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mood = self.books().mood;
        for _ in 0..if mood == Mood::Teases { TEASES } else { 0 } {
            event(&mut stream, "payment-need-voucher", &need(self.standing().0)).await?;
            event(&mut stream, "message", "").await?;
        }
        for nth in 0..ordered {
            loop {
                let (credit, spent) = self.standing();
                let asks = match mood {
                    Mood::Begs => Some(credit),
                    Mood::Gives if nth > 0 => {
                        event(&mut stream, "payment-need-voucher", &need(credit)).await?;
                        return stream.shutdown().await;
                    }
                    _ => (credit - spent < BEER).then_some(spent + BEER),
                };
                let Some(required) = asks else { break };
                event(&mut stream, "payment-need-voucher", &need(required)).await?;
                for _ in 0..100 {
                    if mood == Mood::Begs || self.books().credit >= spent + BEER {
                        break;
                    }
                    sleep(Duration::from_millis(10)).await;
                }
            }
            self.books().spent += BEER;
            event(&mut stream, "message", &format!("beer {nth}")).await?;
        }
        if mood == Mood::Slanders {
            let mut another = bill(1);
            another.reference = "tab-2".to_owned();
            let mut wrong = bill(5);
            wrong.extra.insert("acceptedCumulative".into(), "4".into());
            for receipt in [another, wrong] {
                let receipt = serde_json::to_string(&receipt).unwrap();
                event(&mut stream, "payment-receipt", &receipt).await?;
            }
            return stream.shutdown().await;
        }
        let receipt = serde_json::to_string(&bill(self.books().spent)).unwrap();
        event(&mut stream, "payment-receipt", &receipt).await?;
        stream.shutdown().await
    }
}

pub(crate) fn need(required: u128) -> String {
    format!("{{\"required\":\"{required}\"}}")
}

async fn event(stream: &mut TcpStream, name: &str, data: &str) -> std::io::Result<()> {
    stream.write_all(format!("event: {name}\r\ndata: {data}\r\n\r\n").as_bytes()).await
}

pub(crate) fn refuse(kind: ProblemType, reason: Reason) -> Response<Vec<u8>> {
    let rejection = Rejection::new(kind, reason, "Ten cents a beer.");
    Http::refuse(&Refusal { rejection, challenges: vec![tab(BEER, |_| {})] })
}

pub(crate) async fn write(
    stream: &mut TcpStream,
    response: &Response<Vec<u8>>,
) -> std::io::Result<()> {
    let mut out = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    for (name, value) in response.headers() {
        out.extend_from_slice(format!("{name}: ").as_bytes());
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if response.status() != StatusCode::NO_CONTENT {
        out.extend_from_slice(format!("content-length: {}\r\n", response.body().len()).as_bytes());
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    out.extend_from_slice(response.body());
    stream.write_all(&out).await?;
    stream.shutdown().await
}
