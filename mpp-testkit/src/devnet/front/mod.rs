//! What stands in front of the node and fills its gaps.
//!
//! The node runs Tempo's EVM, and is not Tempo's node: it ignores `calls` where it should run them, knows no `tempo_`
//! method, co-signs nothing, names the wrong payer of a fee, is killed by one kind of simulation, and has a contract for a
//! channel reserve. All else passes through as it came.

mod calls;
mod exchange;
mod faucet;
mod fault;
mod fill;
mod methods;
mod node;
mod ordinary;
mod read;
mod reserve;
mod send;
mod simulate;
mod sponsor;
mod trial;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        CONTENT_TYPE,
    },
    response::IntoResponse,
    routing::{MethodRouter, options},
    serve::ListenerExt,
};
use tokio::{runtime, sync::oneshot};

use self::{methods::Methods, node::Node};
use super::Options;

/// Dumps of a chain's whole state are the longest bodies.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A place to listen at, taken before the node is started, which takes longer.
#[derive(Debug)]
pub(super) struct Place(TcpListener);

impl Place {
    /// A port of this machine; 0 is one that is free.
    pub(super) fn take(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }
}

/// A server on a thread and a runtime of its own: a chain that tests share outlives the runtime of each.
#[derive(Debug)]
pub(super) struct Front {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Front {
    /// Serves in front of the node at `url`.
    pub(super) fn start(place: Place, url: &str, options: &Options) -> io::Result<Self> {
        let node = Node::new(url.to_owned()).map_err(io::Error::other)?;
        let deadline = options.patience;
        let app = app(Served { methods: Methods::new(node, options), deadline });
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let address = place.0.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(place.0)?
        };
        let listener = listener.tap_io(|connection| {
            // Without it, answers are late; they come all the same.
            let _ = connection.set_nodelay(true);
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("devnet front".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
            // Connections are tasks of this runtime, and end here.
            runtime.shutdown_background();
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Front {
    /// Waits too: who drops a chain may count on its end.
    fn drop(&mut self) {
        drop(self.stop.take());
        // A thread that panicked has ended, which is all that is asked of it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

struct Served {
    methods: Methods,
    deadline: Duration,
}

/// Answers at every path, as nodes do, and to pages of every origin.
fn app(served: Served) -> Router {
    let at_any_path: MethodRouter = options(allowed).post(answer).with_state(Arc::new(served));
    Router::new().fallback_service(at_any_path).layer(DefaultBodyLimit::max(MAX_BODY))
}

async fn answer(State(served): State<Arc<Served>>, body: Bytes) -> impl IntoResponse {
    let answer = exchange::answer(&served.methods, &body, served.deadline).await;
    ([(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], answer)
}

async fn allowed() -> impl IntoResponse {
    [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "*"),
    ]
}
