// The last mppx that sells by the escrow contract (sessions v1), on every route, until its standard input ends. RPC_URL,
// CHAIN_ID, MPP_SECRET_KEY and PORT (0: a free one) say where; `?n=` how many tokens a stream has.
import http from 'node:http'
import { Mppx, Request, Store, tempo } from 'mppx/server'
import { PATH_USD, account, clientOf, tell } from './chain.mjs'

const recipient = account(2)
const client = clientOf(recipient)
const session = tempo.sessionLegacy({
  account: recipient,
  currency: PATH_USD,
  getClient: () => client,
  recipient: recipient.address,
  sse: true,
  store: Store.memory(),
})
const mppx = Mppx.create({ methods: [session], secretKey: process.env.MPP_SECRET_KEY })
const routes = {
  '/data': mppx.session({ amount: '0.001', suggestedDeposit: '0.01', unitType: 'request' }),
  '/sse': mppx.session({ amount: '0.0001', suggestedDeposit: '0.01', unitType: 'token' }),
}

/** Each token is charged for before it is handed over. */
const tokens = (count) =>
  async function* (stream) {
    for (let at = 0; at < count; at += 1) {
      await stream.charge()
      yield `token-${at}`
    }
  }

async function serve(request) {
  const url = new URL(request.url)
  const route = routes[url.pathname]
  if (!route) return new Response(null, { status: 404 })
  const result = await route(request)
  if (result.status === 402) return result.challenge
  if (url.pathname === '/data') return result.withReceipt(Response.json({ ok: true, path: '/data' }))
  if (request.method !== 'GET') return result.withReceipt(new Response(null, { status: 204 }))
  return result.withReceipt(tokens(Number(url.searchParams.get('n') ?? 20)))
}

const server = http.createServer(Request.toNodeListener(serve))
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () =>
  tell({ ready: true, url: `http://127.0.0.1:${server.address().port}` }),
)
process.stdin.resume().on('end', () => process.exit(0))
