// Hands every request to Stripe over TLS, until its standard input ends, for a program of this machine that has no TLS of its own.
import http from 'node:http'
import https from 'node:https'

const forward = http.createServer((request, response) => {
  const { host, connection, ...headers } = request.headers
  const options = { host: 'api.stripe.com', path: request.url, method: request.method, headers }
  const onward = https.request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers)
    answer.pipe(response)
  })
  // Whether it arrived is not known: no answer says so best.
  onward.on('error', () => response.destroy())
  request.pipe(onward)
})
forward.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${forward.address().port}`
  process.stdout.write(`${JSON.stringify({ ready: true, url })}\n`)
})
process.stdin.resume().on('end', () => process.exit(0))
