// The chain that both programs talk to, as the environment names it, and the accounts that the whole world can spend from.
import { createClient, defineChain, http } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { tempoModerato } from 'viem/tempo/chains'

export const RPC_URL = named('RPC_URL')
export const CHAIN_ID = Number(named('CHAIN_ID'))
export const PATH_USD = '0x20c0000000000000000000000000000000000000'
export const ALPHA_USD = '0x20c0000000000000000000000000000000000001'

const MNEMONIC = `${'test '.repeat(11)}junk`

/** A development account of the mnemonic, by its number. */
export const account = (number) => mnemonicToAccount(MNEMONIC, { addressIndex: number })

const chain = defineChain({ ...tempoModerato, id: CHAIN_ID, rpcUrls: { default: { http: [RPC_URL] } } })

/** A client of the node that signs for one account, and tries nothing twice. */
export const clientOf = (account) =>
  createClient({ account, chain, pollingInterval: 50, transport: http(RPC_URL, { retryCount: 0, timeout: 10_000 }) })

/** A line for the program that started this one. */
export const tell = (object) => process.stdout.write(`${JSON.stringify(object)}\n`)

/** What the environment must say. */
export function named(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}
