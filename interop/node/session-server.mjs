// mppx sells sessions on every route, until its standard input ends. RPC_URL, CHAIN_ID, MPP_SECRET_KEY and PORT (0: a free
// one) say where; `?n=` how many tokens a stream has.
import http from 'node:http'
import { Credential } from 'mppx'
import { Mppx, Request, Store, tempo } from 'mppx/server'
import { WebSocketServer } from 'ws'
import { PATH_USD, account, clientOf, tell } from './chain.mjs'

const [recipient, sponsor] = [2, 3].map(account)
const client = clientOf(recipient)
/** Which channel a payer opened last: what it is told of when it proves who it is. */
const latest = new Map()
const common = { currency: PATH_USD, getClient: () => client, recipient: recipient.address }
const mppx = Mppx.create({
  secretKey: process.env.MPP_SECRET_KEY,
  methods: [
    tempo.charge({ ...common, feeToken: PATH_USD, store: Store.memory() }),
    tempo.session({
      ...common,
      account: recipient,
      bootstrap: true,
      // What a route names alone is not used to sign with: the sponsor is the method's, and routes go without.
      feePayer: sponsor,
      resolveChannelId: ({ source }) => latest.get(source),
      sse: true,
      store: Store.memory(),
    }),
  ],
})
const perRequest = { amount: '0.001', suggestedDeposit: '0.01', unitType: 'request' }
const perToken = { amount: '0.0001', suggestedDeposit: '0.01', unitType: 'token' }
const unsponsored = { feePayer: false }
const routes = {
  '/data': mppx.session({ ...perRequest, ...unsponsored }),
  '/sse': mppx.session({ ...perToken, ...unsponsored }),
  '/sponsored': mppx.compose(
    ['tempo/charge', { amount: '0.01', feePayer: sponsor }],
    ['tempo/session', perRequest],
  ),
  '/sse-sponsored': mppx.session(perToken),
  '/ws': mppx.session({ ...perToken, ...unsponsored }),
}

/** Each token is charged for before it is handed over. */
const tokens = (url) =>
  async function* (stream) {
    const count = Number(url.searchParams.get('n') ?? 20)
    for (let at = 0; at < count; at += 1) {
      await stream.charge()
      yield `token-${at}`
    }
  }

function remember(request) {
  const field = request.headers.get('authorization')
  if (!field) return
  const { payload, source } = Credential.deserialize(field)
  if (payload.action === 'open') latest.set(source, payload.channelId)
}

async function serve(request) {
  const url = new URL(request.url)
  const route = routes[url.pathname]
  if (!route) return new Response(null, { status: 404 })
  const result = await route(request)
  if (result.status === 402) return result.challenge
  remember(request)
  if (!url.pathname.startsWith('/sse')) return result.withReceipt(Response.json({ ok: true, path: url.pathname }))
  if (request.method !== 'GET') return result.withReceipt(new Response(null, { status: 204 }))
  return result.withReceipt(tokens(url))
}

const server = http.createServer(Request.toNodeListener(serve))
const sockets = new WebSocketServer({ path: '/ws', server })
sockets.on('connection', (socket, { url: address }) => {
  const url = new URL(address, `ws://127.0.0.1:${server.address().port}`)
  const served = mppx.session.serveWebSocket({ generate: tokens(url), route: routes['/ws'], socket, url })
  served.catch((error) => console.error('ws:', error.message))
})
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  tell({ ready: true, url: `http://127.0.0.1:${server.address().port}` }),
)
process.stdin.resume().on('end', () => process.exit(0))
