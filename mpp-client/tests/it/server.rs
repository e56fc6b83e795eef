//! A server as small as a test needs it: a closure from requests to responses, which may also hang up.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use mpp_core::{
    Challenge,
    name::CredentialHeader,
    problem::{ProblemType, Reason, Rejection},
    transport::{Http, Refusal, read_credential},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::double::{challenge, receipt};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The method and path.
    pub(crate) fn is(&self, line: &str) -> bool {
        self.line == line
    }

    /// Whether a credential came, in either header.
    pub(crate) fn paid(&self) -> bool {
        let apart = CredentialHeader::PAYMENT_AUTHORIZATION;
        [None, Some(&apart)]
            .into_iter()
            .any(|name| read_credential(&self.headers, name).is_ok_and(|c| c.is_some()))
    }

    /// The text of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("-")
    }
}

/// A response, or a connection that breaks.
pub(crate) type Reply = Option<Response<Vec<u8>>>;

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    log: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub(crate) async fn new(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::sending(reply, false).await
    }

    /// Announces more of every body than it sends, and leaves the connection open.
    pub(crate) async fn trickling(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::sending(reply, true).await
    }

    async fn sending(
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
        trickles: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { at: listener.local_addr().unwrap(), log: Arc::default() };
        let (log, reply) = (server.log.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, reply) = (log.clone(), reply.clone());
                tokio::spawn(async move {
                    let _ = serve(stream, &log, &*reply, trickles).await;
                });
            }
        });
        server
    }

    /// Asks for payment by a coupon, and serves what is paid for.
    pub(crate) async fn selling() -> Self {
        Self::new(|seen| Some(if seen.paid() { joke() } else { required() })).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    pub(crate) fn log(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    /// How many requests carried a credential.
    pub(crate) fn paid(&self) -> usize {
        self.log().iter().filter(|seen| seen.paid()).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    reply: &(dyn Fn(&Seen) -> Reply + Send + Sync),
    trickles: bool,
) -> std::io::Result<()> {
    let Some(seen) = read(&mut stream).await? else { return Ok(()) };
    let answer = reply(&seen);
    log.lock().unwrap().push(seen);
    let Some(answer) = answer else { return Ok(()) };
    let mut out = format!("HTTP/1.1 {}\r\n", answer.status()).into_bytes();
    for (name, value) in answer.headers() {
        out.extend_from_slice(format!("{name}: ").as_bytes());
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if answer.status() != StatusCode::NO_CONTENT {
        let length = answer.body().len() + usize::from(trickles);
        out.extend_from_slice(format!("content-length: {length}\r\n").as_bytes());
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    out.extend_from_slice(answer.body());
    stream.write_all(&out).await?;
    if trickles {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

/// Reads one request; `None` where the connection ends before it.
pub(crate) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Seen>> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        let name = HeaderName::try_from(name).unwrap();
        headers.append(name, HeaderValue::try_from(value).unwrap());
    }
    let length = headers.get("content-length").map_or(0, |v| v.to_str().unwrap().parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(Some(Seen { line, headers, body: bytes[head + 4..].to_vec() }))
}

pub(crate) fn joke() -> Response<Vec<u8>> {
    let mut response = Response::new(b"ha".to_vec());
    Http::put_receipt_in(response.headers_mut(), &receipt());
    response
}

pub(crate) fn required() -> Response<Vec<u8>> {
    asking(challenge("coupon", 10, |_| {}))
}

pub(crate) fn asking(challenge: Challenge) -> Response<Vec<u8>> {
    let rejection =
        Rejection::new(ProblemType::PAYMENT_REQUIRED, Reason::NO_CREDENTIAL, "Ten cents, please.");
    Http::refuse(&Refusal { rejection, challenges: vec![challenge] })
}

pub(crate) fn status(status: u16, header: &str, value: &str) -> Response<Vec<u8>> {
    Response::builder().status(status).header(header, value).body(Vec::new()).unwrap()
}

pub(crate) fn redirect(code: u16, to: &str) -> Response<Vec<u8>> {
    status(code, "location", to)
}
