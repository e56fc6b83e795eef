//! A misbehaving peer: stands between a client and a server on loopback, and breaks what passes, by a script.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What is done to one exchange. A connection takes the next of the script, and carries one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Passes it on as it is.
    None,
    /// Waits before the request is passed on.
    SlowRequest(Duration),
    /// Waits before the answer is passed back.
    SlowAnswer(Duration),
    /// Hangs up on the client before the request reached the server.
    DropsRequest,
    /// Passes the request on and hangs up on both at once: the server works for nobody.
    HangsUp,
    /// Lets the server answer, and passes none of it back.
    DropsAnswer,
    /// Hangs up in the middle of the answer's head.
    CutsHead,
    /// Hangs up in the middle of the answer's body.
    CutsBody,
    /// Hangs up before the answer's last byte.
    CutsLastByte,
    /// Passes the request on, then once more: the client hears the first answer.
    Repeats,
    /// Passes the request on, then once more: the client hears the second answer.
    RepeatsAndTellsLast,
    /// Passes the request on only after the exchange of the next connection is over.
    AfterNext,
    /// Passes the request on, and answers with what the connection before was answered: an old 402 to who has paid, an old
    /// receipt to who has not.
    Stale,
    /// Passes nothing on, and answers with these bytes: see [`made_up`].
    Says(Vec<u8>),
}

/// An answer that no server gave, for [`Fault::Says`]: a receipt for nothing, a 402 for who has paid.
pub fn made_up(status: u16, fields: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} Made Up\r\nConnection: close\r\n");
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    text.into_bytes()
}

/// A proxy on loopback that follows a script. Stops when it is dropped.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    script: Vec<Fault>,
    seen: Mutex<Seen>,
    /// The highest number of a connection whose exchange is over.
    over: watch::Sender<Option<usize>>,
}

#[derive(Debug, Default)]
struct Seen {
    requests: Vec<Vec<u8>>,
    forwarded: usize,
    last_answer: Vec<u8>,
}

impl Peer {
    /// Stands in front of a server. Connections beyond the script are passed on as they are.
    ///
    /// # Errors
    /// No port could be opened.
    pub async fn before(server: SocketAddr, script: Vec<Fault>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let over = watch::Sender::new(None);
        let shared = Arc::new(Shared { server, script, seen: Mutex::default(), over });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { address, shared, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request that came, as its bytes, in the order in which they came.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.shared.seen().requests.clone()
    }

    /// How often a request was passed on to the server.
    pub fn forwarded(&self) -> usize {
        self.shared.seen().forwarded
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    for number in 0.. {
        let Ok((client, _)) = listener.accept().await else { return };
        let shared = shared.clone();
        tokio::spawn(async move {
            let fault = shared.script.get(number).cloned().unwrap_or(Fault::None);
            // What breaks here is what is tested.
            let _ = exchange(client, &fault, number, &shared).await;
            shared.over.send_if_modified(|over| {
                let later = over.is_none_or(|before| before < number);
                later.then(|| *over = Some(number)).is_some()
            });
        });
    }
}

async fn exchange(
    mut client: TcpStream,
    fault: &Fault,
    number: usize,
    shared: &Shared,
) -> io::Result<()> {
    let request = read_request(&mut client).await?;
    shared.seen().requests.push(request.clone());
    match fault {
        Fault::DropsRequest => return Ok(()),
        Fault::Says(answer) => {
            shared.seen().last_answer.clone_from(answer);
            return client.write_all(answer).await;
        }
        Fault::SlowRequest(wait) => tokio::time::sleep(*wait).await,
        Fault::AfterNext => {
            let mut over = shared.over.subscribe();
            let next = |over: &Option<usize>| over.is_some_and(|over| over > number);
            over.wait_for(next).await.map_err(io::Error::other)?;
        }
        _ => {}
    }
    if *fault == Fault::HangsUp {
        let mut server = shared.send(&request).await?;
        // Heard, and then hung up on.
        let _ = tokio::time::timeout(Duration::from_millis(20), server.read(&mut [0; 1])).await;
        return Ok(());
    }
    let mut answer = shared.ask(&request).await?;
    match fault {
        Fault::Repeats => drop(shared.ask(&request).await?),
        Fault::RepeatsAndTellsLast => answer = shared.ask(&request).await?,
        Fault::SlowAnswer(wait) => tokio::time::sleep(*wait).await,
        _ => {}
    }
    let before = std::mem::replace(&mut shared.seen().last_answer, answer.clone());
    if *fault == Fault::Stale {
        answer = before;
    }
    let head = end_of_head(&answer).unwrap_or(answer.len());
    let told = match fault {
        Fault::DropsAnswer => 0,
        Fault::CutsHead => head / 2,
        Fault::CutsBody => head + (answer.len() - head) / 2,
        Fault::CutsLastByte => answer.len().saturating_sub(1),
        _ => answer.len(),
    };
    client.write_all(&answer[..told]).await?;
    client.shutdown().await
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &[u8]) -> io::Result<TcpStream> {
        let mut server = TcpStream::connect(self.server).await?;
        server.write_all(request).await?;
        self.seen().forwarded += 1;
        Ok(server)
    }

    /// One exchange on a connection of its own, which the server closes: its end is the answer's.
    async fn ask(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = self.send(request).await?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer).await?;
        Ok(answer)
    }
}

/// Reads one request whole, and makes it the last of its connection.
async fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = end_of_head(&read) {
            break end;
        }
        if client.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let fields = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
    let field = |name: &str| fields.lines().find_map(|l| l.strip_prefix(name).map(str::trim));
    let length = field("content-length:").and_then(|v| v.parse().ok()).unwrap_or(0);
    let chunked = field("transfer-encoding:").is_some();
    while (chunked && !read.ends_with(b"\r\n0\r\n\r\n")) || read.len() < head + length {
        if client.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let line = read.iter().position(|b| *b == b'\n').map_or(0, |end| end + 1);
    let mut request = read[..line].to_vec();
    request.extend(b"Connection: close\r\n");
    for field in read[line..head].split_inclusive(|b| *b == b'\n') {
        if !field.to_ascii_lowercase().starts_with(b"connection:") {
            request.extend(field);
        }
    }
    request.extend(&read[head..]);
    Ok(request)
}

/// Where the body begins.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}
